"""Remember outside the store how far it had come, so that an old copy of it is recognised.

Follows: RELIABILITY's "pin"; a consistent old image passes every other check.
Leaves out: keeping the pin safe; whoever can restore the store must not be able to restore it.
"""

from __future__ import annotations

from typing import NamedTuple


class Pin(NamedTuple):
    """A store's uuid and the newest sequence number that was durable."""

    store: bytes
    sequence: int
