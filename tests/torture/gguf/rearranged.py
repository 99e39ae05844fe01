"""Write models that read well and make no sense: other values, types, shapes and offsets.

Follows: mutations.py, which rarely gets past the header: here every key and record stays readable,
so that what comes after it is put to the test.
Leaves out: sizes of the data, which stay those of the valid model.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.workbench.tiering.gguf_files import NUMBERS, GGUFFile, array, scalar, tensor
from tests.workbench.tiering.gguf_models import KINDS, Model

_EDGES = (0, 1, 2, 3, 4, 8, 9, 16, 31, 32, 33, 64, 255, 256, 1024, 65_536, 4_000_001)
_LARGE = (1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 48, 1 << 61, 1 << 63, (1 << 64) - 1)
_REALS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = ("", "a", "llama", "qwen2", "yarn", "linear", "none", "gpt2", "smollm", "\x00", "x" * 999)
_RANGES = {
    kind: np.iinfo(np.dtype(layout)) for kind, (_, layout) in NUMBERS.items() if kind[0] in "ui"
}
_EXTRA_KEYS = (
    "general.alignment",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.freq_base",
    "llama.rope.dimension_count",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.expert_count",
    "llama.vocab_size",
    "qwen2.rope.freq_base",
    "split.count",
    "split.no",
    "split.tensors.count",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.add_space_prefix",
)


@dataclass
class _Record:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    def to_bytes(self) -> bytes:
        return tensor(self.name, self.shape, self.kind, self.offset)


def rearranged(models: list[Model], rng: random.Random) -> bytes:
    """Return one of the models with one to three things changed."""
    model = rng.choice(models)
    file = model.file()
    pairs = model.all_pairs()
    records = _records(model)
    for _ in range(rng.randint(1, 3)):
        rng.choice(_CHANGES)(rng, pairs, records)
    file.pairs = [pair for pair in pairs.values() if pair]
    file.tensors = [record.to_bytes() for record in records]
    return _shaken(rng, file).to_bytes()


def _records(model: Model) -> list[_Record]:
    records, offset = [], 0
    for name, (shape, kind) in model.all_tensors().items():
        offset += -offset % 32
        records.append(_Record(name, shape, KINDS[kind], offset))
        offset += model.n_bytes(shape, kind)
    return records


def _shaken(rng: random.Random, file: GGUFFile) -> GGUFFile:
    """Now and then put records in another order, or give the file other data."""
    if rng.random() < 0.03:
        rng.shuffle(file.tensors)
    if rng.random() < 0.03:
        file.data = file.data[: rng.randrange(len(file.data))]
    if rng.random() < 0.03:
        file.alignment = rng.choice((8, 16, 64, 4096))
    return file


Pairs = dict[str, bytes]


def _value(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    """Give a key another value, often of another type."""
    key = rng.choice((*pairs, *_EXTRA_KEYS))
    kind = rng.choice((*NUMBERS, "u32", "u32", "f32", "string", "string"))
    count = rng.choice((0, 0, 0, 0, 1, 2, 10, 11, 1025))
    if count:
        pairs[key] = array(key, kind, [_some(rng, kind) for _ in range(count)])
    else:
        pairs[key] = scalar(key, kind, _some(rng, kind))


def _some(rng: random.Random, kind: str) -> float | str:
    if kind == "string":
        return rng.choice(_TEXTS)
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "f64":
        return rng.choice((*_REALS, 1e300))
    if kind == "f32":
        return rng.choice(_REALS)
    value = rng.choice((*_EDGES, *_LARGE)) * rng.choice((1, 1, 1, -1))
    limits = _RANGES[kind]
    return min(max(value, int(limits.min)), int(limits.max))


def _drop_value(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    pairs.pop(rng.choice(list(pairs)), None)


def _drop_tensor(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    if records:
        del records[rng.randrange(len(records))]


def _shape(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    record = rng.choice(records) if records else None
    if record is not None:
        extents = list(record.shape)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(extents))
            extents[at] = rng.choice((*_EDGES, *_LARGE))
        if rng.random() < 0.3:
            extents.insert(rng.randrange(len(extents) + 1), rng.choice((0, 1, 2, 1 << 32)))
        record.shape = tuple(extents)


def _type(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    if records:
        rng.choice(records).kind = rng.choice((*KINDS.values(), 4, 5, 31, 36, 999, (1 << 32) - 1))


def _offset(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    if records:
        record = rng.choice(records)
        record.offset = rng.choice((record.offset + 32, record.offset - 32, 3, *_EDGES, *_LARGE))


def _name(rng: random.Random, pairs: Pairs, records: list[_Record]) -> None:
    if records:
        names = [record.name for record in records]
        rng.choice(records).name = rng.choice((*names, "output.weight", "blk.1.attn_q.weight", "x"))


_CHANGES: tuple[Callable[[random.Random, Pairs, list[_Record]], None], ...] = (
    *[_value] * 8,
    _drop_value,
    _drop_tensor,
    _shape,
    _type,
    _offset,
    _name,
)
