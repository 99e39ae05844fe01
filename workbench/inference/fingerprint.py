"""Tell models apart by 32 bytes, without reading tens of gigabytes each time one is opened.

Follows: DESIGN section 4: a block's key holds what decides its bytes: architecture, weights, rope.
Leaves out: KV layout, dtype, codec and tenant, which the cache adds by itself
(tiering/tiered_kv_cache).

What the weights' sum covers: every file's size, all of its header (metadata, names, shapes, types,
offsets, the whole vocabulary), and of every tensor the first and last 4 KiB and two pieces of 4 KiB
between, or all of it up to 16 KiB. Names, dates and places of files are not in it, so a copy is the
same model. What it does not see: a change of single weights that lie in none of these pieces.
Another model, another training or another quantisation changes all tensors; an edit by hand of one
row may go unseen, and `weights_sum` with ``whole=True`` reads everything for those who need that.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import astuple

from workbench.inference.llama_config import LlamaConfig
from workbench.tiering.mmap_gguf import ModelMap, TensorInfo

_VERSION = b"model fingerprint 1"
_LENGTH = struct.Struct("<Q")
_PIECE_BYTES = 4096
_PIECES = 4
_WHOLE_READ_BYTES = 4 << 20


def model_fingerprint(model: ModelMap, config: LlamaConfig, computation: str = "") -> bytes:
    """Return 32 bytes that differ between any two models whose K and V would differ.

    Parameters
    ----------
    model : ModelMap
    config : LlamaConfig   of that model: its architecture, widths, heads, rope and epsilon
    computation : str      the way K and V are computed, where there are several whose results
                           differ in the last bits, e.g. ``"int8 activations"``

    Raises
    ------
    GGUFError   if a file became shorter

    Cost    as `weights_sum`.
    """
    fields = (_VERSION, repr(astuple(config)).encode(), computation.encode(), weights_sum(model))
    return hashlib.sha256(b"".join(map(_prefixed, fields))).digest()


def weights_sum(model: ModelMap, *, whole: bool = False) -> bytes:
    """Return the SHA-256 of what this file's head says is covered; of every byte if ``whole``.

    Raises
    ------
    GGUFError   if a file became shorter

    Cost    header and 16 KiB a tensor: 6 ms for 272 tensors in the page cache, up to four reads of
            the disk a tensor beyond it; whole: 0.8 s a GiB or the disk's time.
    """
    state = hashlib.sha256()
    for number, file in enumerate(model.files):
        tensors = [tensor for tensor in model.header.tensors if tensor.part == number]
        start = min((tensor.offset for tensor in tensors), default=file.file_bytes)
        state.update(_LENGTH.pack(file.file_bytes))
        spans = [*_cut(0, file.file_bytes if whole else start)]
        spans += [] if whole else [span for tensor in tensors for span in _pieces(tensor)]
        for offset, n_bytes in spans:
            state.update(file.read(offset, n_bytes))
    return state.digest()


def _pieces(tensor: TensorInfo) -> Iterator[tuple[int, int]]:
    """Yield (offset, bytes) of a tensor's pieces: at its start, its end, and evenly between."""
    if tensor.n_bytes <= _PIECES * _PIECE_BYTES:
        yield tensor.offset, tensor.n_bytes
        return
    last = tensor.n_bytes - _PIECE_BYTES
    for piece in range(_PIECES):
        yield tensor.offset + last * piece // (_PIECES - 1), _PIECE_BYTES


def _cut(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for offset in range(start, stop, _WHOLE_READ_BYTES):
        yield offset, min(_WHOLE_READ_BYTES, stop - offset)


def _prefixed(field: bytes) -> bytes:
    return _LENGTH.pack(len(field)) + field
