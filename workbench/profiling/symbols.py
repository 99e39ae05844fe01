"""Find the compiled kernel that an address lies in, from the maps that its process wrote.

Follows: Linux' perf map files, as kernels/symbol_map.py writes them.
Leaves out: shared libraries, whose symbols the sampler reads itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path

from kernels import symbol_map


class SymbolMap:
    """One process's compiled functions by address."""

    def __init__(self, lines: list[str]) -> None:
        """Take the lines of a map; one that is cut off, as by a kill, counts for nothing."""
        found = {}
        for line in lines:
            start, _, rest = line.rstrip("\n").partition(" ")
            n_bytes, _, name = rest.partition(" ")
            try:
                found[int(start, 16)] = (int(n_bytes, 16), name)
            except ValueError:
                continue
        self._starts = sorted(found)
        self._found = [found[start] for start in self._starts]

    def name(self, address: int) -> str | None:
        """Return the function that holds an address, or None."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        n_bytes, name = self._found[place]
        return name if address < self._starts[place] + n_bytes else None

    def __len__(self) -> int:
        return len(self._starts)


def read_all(folder: Path) -> Mapping[int, SymbolMap]:
    """Return the maps in a folder by process id."""
    maps = {}
    for path in folder.glob(symbol_map.path(folder, 0).name.replace("0", "*")):
        pid = path.stem.rpartition("-")[2]
        maps[int(pid)] = SymbolMap(path.read_text(encoding="utf-8").splitlines())
    return maps
