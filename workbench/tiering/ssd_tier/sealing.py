"""Say what the store asks of those who seal its blocks; it knows no key and no cipher.

Follows: seal what was compressed, then sum the stored bytes, so that sums can be checked without
keys; what is sealed is bound to the place where it lies, so a block that moves is sealed again.
Leaves out: how it is done (the room beside this one: encryption).
"""

from __future__ import annotations

from typing import Protocol

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier.frame import Header
from workbench.tiering.ssd_tier.side_file import SideFile


class SealError(StorageError):
    """A block cannot be sealed or opened: the tenant's key is gone, or the bytes are others."""


class Sealing(Protocol):
    """What seals blocks and opens them again. Safe between threads."""

    def unlock(self, file: SideFile, sealed_as: bytes | None) -> bytes:
        """Load the store's keys, or make them, and return their id, 16 bytes that are not zeros.

        Called once the store has its lock, and before anything in it is changed.

        Parameters
        ----------
        file : SideFile            where the keys are kept
        sealed_as : bytes or None  the id that the store's segments name; None: there is no store

        Raises
        ------
        StorageError   if they cannot be had, or are others than those named
        """

    def mark(self, tenant: bytes, key: bytes, plain: memoryview) -> bytes:
        """Return 16 bytes that recognise a block's plain bytes, and say nothing without the keys.

        Raises
        ------
        SealError   if the tenant's key cannot be had or made
        """

    def seal(self, header: Header, plain: memoryview, into: memoryview) -> bytes:
        """Fill ``into``, as long as ``plain`` or the same memory, and return the header's seal.

        Everything in the header counts, but for its checksum and seal, which are not known yet.

        Raises
        ------
        SealError   if the tenant's key is gone
        """

    def open(self, header: Header, payload: memoryview) -> None:
        """Turn stored bytes into plain ones where they are.

        Raises
        ------
        SealError   if they were not sealed under this very header; the payload is zeros then
        """

    def close(self) -> None:
        """Let go of the keys, because the store was closed or could not be opened."""
