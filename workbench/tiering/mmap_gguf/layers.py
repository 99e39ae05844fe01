"""Group a model's tensors by layer, and say which bytes of which file each group takes.

Follows: llama.cpp's names: ``blk.N.`` begins a tensor of layer N; the rest belongs to none.
Leaves out: whether the bytes are in memory (residency.py).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from workbench.tiering.mmap_gguf.header import GGUFHeader, TensorInfo

_LAYER = re.compile(r"blk\.(\d{1,4})\.")


class Span(NamedTuple):
    """Bytes ``start..stop`` of one file of a model."""

    part: int
    start: int
    stop: int

    @property
    def n_bytes(self) -> int:
        """Return how many bytes there are."""
        return self.stop - self.start

    def widened(self) -> Span:
        """Return the pages that hold any of the bytes; the last may pass the file's end."""
        page = mmap.PAGESIZE
        return Span(self.part, self.start // page * page, -(-self.stop // page) * page)

    def narrowed(self) -> Span:
        """Return the pages that hold nothing but these bytes; there may be none."""
        page = mmap.PAGESIZE
        start, stop = -(-self.start // page) * page, self.stop // page * page
        return Span(self.part, start, max(start, stop))


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors that are used together, and the spans of the files that they lie in."""

    tensors: tuple[TensorInfo, ...]
    spans: tuple[Span, ...]

    @property
    def page_bytes(self) -> int:
        """Return the bytes of all pages that hold any of it."""
        return sum(span.widened().n_bytes for span in self.spans)


@dataclass(frozen=True, slots=True)
class Groups:
    """A model's layers in order, and what belongs to no layer (embedding, norm, output)."""

    layers: tuple[Group, ...]
    rest: Group


def group_tensors(header: GGUFHeader) -> Groups:
    """Group a model's tensors.

    Raises
    ------
    GGUFError   if a layer below the highest one has no tensor
    """
    by_layer: dict[int, list[TensorInfo]] = {}
    rest: list[TensorInfo] = []
    for tensor in header.tensors:
        found = _LAYER.match(tensor.name)
        (by_layer.setdefault(int(found[1]), []) if found else rest).append(tensor)
    for layer in range(len(by_layer)):
        if layer not in by_layer:
            raise header.refuse(f"layer {layer} has no tensor, higher ones have", 0)
    layers = tuple(group_of(by_layer[layer]) for layer in range(len(by_layer)))
    return Groups(layers, group_of(rest))


def group_of(tensors: Iterable[TensorInfo]) -> Group:
    """Return tensors as a group, with the spans of the files that hold them."""
    tensors = tuple(tensors)
    spans = (Span(each.part, each.offset, each.offset + each.n_bytes) for each in tensors)
    return Group(tensors, tuple(_joined(spans)))


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Join spans that share a page or follow each other page by page."""
    joined: list[Span] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last and last.part == span.part and span.start <= last.widened().stop:
            joined[-1] = last._replace(stop=max(last.stop, span.stop))
        else:
            joined.append(span)
    return joined
