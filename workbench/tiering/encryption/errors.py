"""Name the ways in which keys cannot be had; each message carries the fix, none a key.

Follows: workbench.errors.
Leaves out: single blocks that cannot be opened (ssd_tier/sealing.py): those are misses.
"""

from __future__ import annotations

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import StorageError


class MasterKeyError(UsageError):
    """The master key is missing, is none, or others may read it."""


class KeyTableError(StorageError):
    """A store's keys are missing, damaged, or not to be unwrapped with this master key."""
