"""Map a model's files into memory and give its tensors as read-only views of them.

Follows: llama.cpp's mmap loading: nothing is read before it is used, the page cache keeps it.
Leaves out: what is in memory and when (residency.py), and reads past the page cache
(direct_layers.py).

What a changing file can do: every `tensor` call first asks the handle whether the file was cut,
extended or written to, and refuses if so. What nobody can prevent is a file that is cut *after*
that: touching a page beyond the new end then kills the process (SIGBUS), as it does in every
program that maps files. Files that others may write to belong into `direct_layers`, whose reads
fail with an error instead, or into a copy.
"""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf.header import GGUFHeader, TensorInfo
from workbench.tiering.mmap_gguf.open_file import GGUFError, OpenFile
from workbench.tiering.mmap_gguf.split_files import Part, close_parts, open_parts
from workbench.tiering.mmap_gguf.tensors import Tensor


class ModelMap(Closing):
    """A model's header and its tensors by name.

    Attributes
    ----------
    header : GGUFHeader   of the first file, with the tensors of all of them
    files : tuple         the open files; ``TensorInfo.part`` counts them
    """

    def __init__(self, parts: list[Part]) -> None:
        """Map open files; the map closes them. `open_model` is the way to one."""
        self._parts = parts
        self._infos = {tensor.name: tensor for part in parts for tensor in part.header.tensors}
        self.header: GGUFHeader = replace(parts[0].header, tensors=tuple(self._infos.values()))
        self.files: tuple[OpenFile, ...] = tuple(part.file for part in parts)
        self._maps = [_mapped(file) for file in self.files]
        self._bytes = [np.frombuffer(mapped, np.uint8) for mapped in self._maps]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor as a view of its file; it stays valid when the model is closed.

        Raises
        ------
        GGUFError   if there is no such tensor, the file changed since it was opened, or the model
                    is closed

        Cost    3 us; reads nothing.
        """
        info = self.info(name)
        whole = self.bytes_of(info.part)
        self.files[info.part].check_unchanged()
        return Tensor(info, whole[info.offset : info.offset + info.n_bytes])

    def info(self, name: str) -> TensorInfo:
        """Return where a tensor lies; GGUFError if there is none of that name."""
        if name not in self._infos:
            raise self.header.refuse(f"tensor {name} is missing", self.header.data_offset)
        return self._infos[name]

    def bytes_of(self, part: int) -> NDArray[np.uint8]:
        """Return a whole file as a read-only view, uint8[file_bytes]."""
        self.mapping(part)
        return self._bytes[part]

    def mapping(self, part: int) -> mmap.mmap:
        """Return a file's mapping, for advice to the kernel; GGUFError if the model is closed."""
        if not self._maps:
            raise self.header.refuse("the model was closed; open it again", 0)
        return self._maps[part]

    def close(self) -> None:
        """Close the files; each mapping goes with the last view of it. Twice is harmless."""
        self._maps, self._bytes = [], []
        close_parts(self._parts)


def open_model(path: Path) -> ModelMap:
    """Open a model, whole or split, and map it.

    Parameters
    ----------
    path : Path   a GGUF file; of a split model the one that ends in -00001-of-0000N.gguf

    Raises
    ------
    GGUFError   for any file that is not a whole, consistent GGUF model, or cannot be mapped

    Cost    reading the header, 30 ms for 49,152 tokens; no weights.
    """
    parts = open_parts(path)
    try:
        return ModelMap(parts)
    except BaseException:
        close_parts(parts)
        raise


def _mapped(file: OpenFile) -> mmap.mmap:
    try:
        return mmap.mmap(file.fd, file.file_bytes, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        # A ValueError says that the file is already shorter.
        raise GGUFError(file.path, 0, f"cannot be mapped into memory: {error}") from error
