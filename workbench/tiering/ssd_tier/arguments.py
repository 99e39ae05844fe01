"""Check the keys and values that callers of a block store give.

Follows: an error names what was given and what fits.
Leaves out: what keys and values mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.frame import KEY_BYTES

if TYPE_CHECKING:
    from typing_extensions import Buffer


def checked_key(key: bytes) -> bytes:
    """Return a key of 32 bytes.

    Raises
    ------
    UsageError   if it has another length
    """
    if len(key) != KEY_BYTES:
        raise UsageError(f"a key of {len(key)} bytes does not fit; a key has {KEY_BYTES}")
    return bytes(key)


def checked_bytes(value: Buffer) -> memoryview:
    """Return a value's bytes where they are.

    Raises
    ------
    UsageError   if they do not lie together
    """
    view = memoryview(value)
    if not view.c_contiguous:
        raise UsageError("the value's bytes lie apart; give a contiguous copy")
    return view.cast("B")
