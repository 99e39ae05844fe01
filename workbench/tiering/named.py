"""Find what is registered under a name, or say what was probably meant.

Follows: difflib's close matches.
Leaves out: making anything of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from workbench.errors import UsageError

T = TypeVar("T")


def pick(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what is registered.

    Raises
    ------
    UsageError   with the names that were probably meant, or all there are
    """
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, list(known), n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise UsageError(f"unknown {kind} {name!r}; {hint}")
