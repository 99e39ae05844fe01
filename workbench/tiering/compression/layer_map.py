"""Say which codec each layer of a model has: one for all of them, and others for some.

    int8                         every layer
    int8,int4:12-20,int4:29      all int8, but layers 12 to 20 and layer 29 int4

Follows: one text, the same in code, in TOML, in the environment and on a command line; a comma,
because a shell takes a semicolon for itself.
Leaves out: coding (by_layer.py), and which layers deserve what (workbench/benchmark/selection).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Self

from workbench.errors import UsageError
from workbench.tiering.compression.codec import Codec
from workbench.tiering.named import pick

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_FORM = "name, or name,other:first-last with layers from 0, as int8,int4:12-20,int4:29"
_LAYERS = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


class Stretch(NamedTuple):
    """Consecutive layers, both ends included, and the codec that they have."""

    codec: type[Codec]
    first: int
    last: int

    @property
    def layers(self) -> range:
        """Return the layers' numbers."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class LayerMap:
    """Which codec each layer has.

    Attributes
    ----------
    default : type of Codec        of all layers that no stretch names
    stretches : tuple of Stretch   of the others; no layer is named twice
    """

    default: type[Codec]
    stretches: tuple[Stretch, ...] = ()

    @classmethod
    def parse(cls, text: str, known: Mapping[str, type[Codec]]) -> Self:
        """Read a map.

        Raises
        ------
        UsageError   naming every codec that is not known, and all that cannot be read
        """
        name, *others = (part.strip() for part in text.split(","))
        problems: list[str] = []
        default = _known(name, known, problems)
        stretches = [one for part in others if (one := _stretch(part, known, problems))]
        named = Counter(layer for one in stretches for layer in one.layers)
        if twice := [layer for layer, times in named.items() if times > 1]:
            problems.append(f"codec {text!r} names {_spans(twice)} twice; give each layer one")
        if problems or default is None:
            raise UsageError(problems)
        return cls(default, tuple(stretches))

    def codecs(self, layers: int) -> tuple[type[Codec], ...]:
        """Return the codec of each of so many layers."""
        found = [self.default] * layers
        for one in self.stretches:
            for layer in one.layers:
                found[layer] = one.codec
        return tuple(found)

    def problems_with(self, layout: BlockLayout) -> list[str]:
        """Return why a layout's layers cannot have these codecs; nothing if they can."""
        layers = layout.geometry.layers
        problems = [
            f"codec {one.codec.name!r} cannot be of {_spans(one.layers)}: the model has layers 0 "
            f"to {layers - 1}; name others"
            for one in self.stretches
            if one.last >= layers
        ]
        used = dict.fromkeys([self.default, *(one.codec for one in self.stretches)])
        return problems + [problem for codec in used for problem in codec.problems_with(layout)]


def spell(default: str, others: Mapping[str, Iterable[int]]) -> str:
    """Return the text of a map.

    ``spell("int8", {"int4": [3, 4, 9]})`` is ``"int8,int4:3-4,int4:9"``.
    """
    parts = [f"{name}:{span}" for name, layers in others.items() for span in _runs(layers)]
    return ",".join([default, *parts])


def _stretch(text: str, known: Mapping[str, type[Codec]], problems: list[str]) -> Stretch | None:
    """Return what a part says about some layers, or add why it cannot be read."""
    name, _, layers = (part.strip() for part in text.partition(":"))
    codec = _known(name, known, problems) if name else None
    found = _LAYERS.fullmatch(layers)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if first > last or not name:
        problems.append(f"codec part {text!r} cannot be read; give {_FORM}")
        return None
    return Stretch(codec, first, last) if codec else None


def _known(name: str, known: Mapping[str, type[Codec]], problems: list[str]) -> type[Codec] | None:
    try:
        return pick("codec", name, known)
    except UsageError as error:
        problems += error.problems
        return None


def _runs(layers: Iterable[int]) -> Iterator[str]:
    """Yield runs of consecutive layers, as ``3-4`` or ``9``."""
    for _, run in groupby(enumerate(sorted(layers)), lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        yield f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _spans(layers: Iterable[int]) -> str:
    spans = list(_runs(layers))
    return f"layer{'s' * (len(spans) > 1 or '-' in spans[0])} {', '.join(spans)}"
