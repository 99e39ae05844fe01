"""Decide when a block is written to the tier below: one policy a file, all behind one interface.

Follows: the three write policies of HiCache (write through, write back, selective).
Leaves out: the writing itself, and what the tier below admits (ssd_tier/admission).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from workbench.tiering.named import pick
from workbench.tiering.write_policy.selective import Selective
from workbench.tiering.write_policy.write_back import WriteBack
from workbench.tiering.write_policy.write_through import WriteThrough

__all__ = ["WRITE_POLICIES", "Selective", "WriteBack", "WritePolicy", "WriteThrough", "create"]


class WritePolicy(Protocol):
    """Asked twice in a block's life in memory whether it is to be written.

    ``uses`` counts the requests that the block served while in memory: 1 for the one that made it.
    The cache asks only about blocks that the tier below does not hold, so a block is written once.

    Attributes
    ----------
    name : str   as registered, for example ``"write_through"``
    """

    @property
    def name(self) -> str:
        """Return the name under which it is registered."""

    def on_seal(self, key: bytes, uses: int) -> bool:
        """Return whether to write a block that has just been filled and sealed."""

    def on_demote(self, key: bytes, uses: int) -> bool:
        """Return whether to write a block that is about to leave memory; else it is forgotten."""


WRITE_POLICIES: dict[str, Callable[[], WritePolicy]] = {
    WriteThrough.name: WriteThrough,
    WriteBack.name: WriteBack,
    Selective.name: Selective,
}


def create(name: str) -> WritePolicy:
    """Return a new policy.

    Raises
    ------
    UsageError   for a name that is not registered
    """
    return pick("write policy", name, WRITE_POLICIES)()
