"""Read and write sizes as people do: ``512 MiB``.

Follows: IEC prefixes; KiB, MiB, GiB and TiB are powers of 1,024.
Leaves out: vendors' GB, which would be one of two numbers.
"""

from __future__ import annotations

import re

_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_size(said: object) -> object:
    """Return the bytes that a text says; what is no text is returned as it is.

    Raises
    ------
    ValueError   if the text is no size
    """
    if not isinstance(said, str):
        return said
    found = _SIZE.fullmatch(said)
    if found is None or found[2] not in _UNITS:
        raise ValueError("is no size; give bytes, or a number with KiB, MiB, GiB or TiB")
    return int(float(found[1]) * _UNITS[found[2]])


def shown_size(n_bytes: int) -> str:
    """Return bytes in the largest unit that they fill, such as ``1.5 GiB``."""
    for unit, size in reversed(_UNITS.items()):
        if unit and n_bytes >= size:
            return f"{n_bytes / size:,.4g} {unit}"
    return "0 B"
