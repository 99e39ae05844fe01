"""Give back the pages of the compiler's code once there is nothing left to compile.

Importing Numba and fetching compiled kernels touches 69 MiB of LLVM's library, a fifth of all that
a process with a small model has in memory, and none of it runs while tokens are computed.
Follows: madvise(2): pages that were never written are dropped and, if they are touched again, found
in the page cache; until then others may have them.
Leaves out: Numba's own objects (some 45 MiB), and systems but Linux, where nothing is done.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_SMAPS = Path("/proc/self/smaps")
_LIBRARY = "libllvmlite"
_DONTNEED = 4  # Linux's MADV_DONTNEED
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)")


class Mapping(NamedTuple):
    """A stretch of this process's addresses that holds nothing but unchanged bytes of a file."""

    start: int
    n_bytes: int
    resident_bytes: int


def release_compiler_pages() -> int:
    """Drop what is in memory of LLVM's code and constants; return the bytes.

    Cost    2 ms, and some 5 ms if something is compiled or fetched later.
    """
    if not _SMAPS.exists():
        return 0
    with _SMAPS.open() as lines:
        unchanged = list(unchanged_mappings(lines, _LIBRARY))
    madvise = ctypes.CDLL(None).madvise
    return sum(
        mapping.resident_bytes
        for mapping in unchanged
        if madvise(ctypes.c_void_p(mapping.start), ctypes.c_size_t(mapping.n_bytes), _DONTNEED) == 0
    )


def unchanged_mappings(lines: Iterable[str], library: str) -> Iterator[Mapping]:
    """Yield a library's mappings that cannot be written to and have no page of their own.

    Pages that were written to, as the loader does to addresses, would be lost: a mapping with one
    of them is left alone.

    Parameters
    ----------
    lines : iterable of str   as /proc/self/smaps has them
    library : str             how its file's name begins
    """
    found: re.Match[str] | None = None
    resident = 0
    for line in lines:
        begins = _MAPPING.match(line)
        if begins:
            is_library = Path(begins[4]).name.startswith(library)
            found = begins if is_library and "w" not in begins[3] else None
        elif found and line.startswith("Rss:"):
            resident = int(line.split()[1]) << 10
        elif found and line.startswith("Anonymous:") and int(line.split()[1]) == 0:
            start, stop = int(found[1], 16), int(found[2], 16)
            yield Mapping(start, stop - start, resident)
