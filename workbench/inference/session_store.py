"""Open the tiers that a model's sessions live in: memory, and a folder on disk if there is one.

Follows: one store a folder, for any models: blocks are found by what they hold, and by whose they
are.
Leaves out: finer settings (CacheConfig, SsdTierConfig); this is what the command line opens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.tiering.distributed_tier import NetworkTier, NetworkTierConfig
from workbench.tiering.encryption import StoreSealing, find_master_key
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache

MIB, GIB = 1 << 20, 1 << 30
# Blocks of hot memory without which a cache refuses to work comfortably.
_SPARE_BLOCKS = 4
_POOL_BYTES = 32 * MIB
_STAGING_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Where and how a model's keys and values are kept.

    Attributes
    ----------
    dtype : str              float32, float16 or int8
    hot_tokens : int         that memory is taken for
    folder : Path or None    of the SSD tier; None: memory only
    capacity_bytes : int     the most that the folder may hold
    key : str or None        where the key is that seals the folder (encryption/key_source.py);
                             None: where WORKBENCH_KEY_FILE says, and unsealed without that
    tenant : str             whose; other tenants' blocks are never found
    codec : str              that makes blocks smaller in the folder (compression.CODECS)
    network : str or None    address of a Valkey server that shares the folder's blocks
    """

    dtype: str = "float16"
    hot_tokens: int = 8192
    folder: Path | None = None
    capacity_bytes: int = GIB
    key: str | None = None
    tenant: str = ""
    codec: str = "none"
    network: str | None = None


@contextlib.contextmanager
def open_cache(model: LlamaModel, options: StoreOptions) -> Iterator[TieredKVCache]:
    """Open a cache for a model; closing it writes what waits to be written.

    Raises
    ------
    UsageError     if an option is out of range, memory does not suffice, or the key is no good
    StorageError   if the folder cannot be opened, such as while another process has it
    NetworkTierError   if the server refuses us; one that is not there is only misses
    """
    if options.hot_tokens < 1:
        raise UsageError(f"hot_tokens={options.hot_tokens} must be at least 1")
    layout = BlockLayout(model.kv_geometry(options.dtype))
    n_blocks = -(-options.hot_tokens // layout.block_tokens) + _SPARE_BLOCKS
    config = CacheConfig(
        layout.geometry,
        n_blocks * layout.block_bytes,
        codec=options.codec,
        staging_bytes=_STAGING_BYTES,
    )
    with contextlib.ExitStack() as stack:
        ssd = sealing = network = None
        if options.folder is not None:
            store = SsdTierConfig(options.capacity_bytes, pool_bytes=_POOL_BYTES)
            master = find_master_key(options.key)
            sealing = None if master is None else StoreSealing(master)
            ssd = stack.enter_context(SsdTier.open(options.folder, store, sealing=sealing))
        elif options.key is not None:
            raise UsageError("a key seals a folder, and none is given: give one, or no key")
        if options.network is not None:
            found = NetworkTierConfig(options.network)
            network = stack.enter_context(NetworkTier.open(found))
        tenant = _secret_of(options.tenant, sealing)
        cache = TieredKVCache(
            config, ssd, fingerprint=model.fingerprint, tenant=tenant, network=network
        )
        yield stack.enter_context(cache)


def _secret_of(tenant: str, sealing: StoreSealing | None) -> bytes:
    """Return what a tenant's block keys are made with: of a plain folder, its name."""
    return tenant.encode() if sealing is None else sealing.tenant(tenant).secret.reveal()
