"""Seal the blocks of an SSD tier, so that a stolen disk tells nothing of what they hold.

`sealing.py` is what a store is opened with; `master_key.py` is the one secret that a user keeps.
From it hang the keys of the store (`store_keys.py`), of its tenants, and of each file and opening
(`sub_keys.py`, `lanes.py`). docs/adr/0006-sealed-frames.md says why it is built like that.
"""

from workbench.tiering.encryption.errors import KeyTableError, MasterKeyError
from workbench.tiering.encryption.key_source import demand_master_key, find_master_key
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.sealing import StoreSealing
from workbench.tiering.encryption.store_keys import Tenant

__all__ = [
    "KeyTableError",
    "MasterKey",
    "MasterKeyError",
    "StoreSealing",
    "Tenant",
    "demand_master_key",
    "find_master_key",
]
