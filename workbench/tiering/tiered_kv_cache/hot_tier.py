"""Keep the newest tokens' keys and values of one sequence in a ring in memory.

Follows: the hot tier of the seed report (1,024 tokens, token-major), its statistics word for word.
Leaves out: the cold tiers. None is attached yet: an evicted token is forgotten, reading it is a
miss, and every cold figure is a true 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels import kv_store
from workbench.errors import UsageError
from workbench.phases import Phase
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import MIB, allocate, require_memory

Values = NDArray[np.generic]

_COPIES = Phase("copies")

# Kernels move bits, whatever they mean; Numba on a CPU has no float16.
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, slots=True)
class TierStats:
    """Where a sequence's tokens are and what happened to them, in the seed report's words.

    ``hot_hits + cold_hits + misses`` is the number of reads; cold and SSD figures stay 0 until a
    cold tier is attached.
    """

    sequence_position: int
    hot_tokens: int
    hot_capacity_tokens: int
    hot_hits: int
    misses: int
    evictions: int
    cold_blocks: int = 0
    cold_hits: int = 0
    ssd_written_bytes: int = 0
    ssd_read_bytes: int = 0


class HotTier:
    """A slab for the last ``capacity_tokens`` tokens of one sequence. Not safe between threads.

    Parameters
    ----------
    geometry : KVGeometry       shape and dtype of a token
    capacity_tokens : int       ring size, >= 1
    limit_bytes : int or None   the slab may never take more; None: what the machine has to give
    variant : str               kernel that stores, a name in ``kernels.kv_store``'s record

    Raises
    ------
    UsageError   if the slab would exceed the limit or the free memory, or the variant is unknown
    """

    def __init__(
        self,
        geometry: KVGeometry,
        capacity_tokens: int,
        *,
        limit_bytes: int | None = None,
        variant: str = "njit_scalar",
    ) -> None:
        if capacity_tokens < 1:
            raise UsageError(f"hot tier: capacity_tokens={capacity_tokens} must be at least 1")
        self.geometry = geometry
        self.capacity_tokens = capacity_tokens
        self.use(variant)
        n_bytes = capacity_tokens * geometry.bytes_per_token
        self._check_limit(n_bytes, limit_bytes)
        bits = _BITS[np.dtype(geometry.dtype).itemsize]
        slab = allocate(n_bytes).view(bits).reshape(2, *geometry.slab_shape(capacity_tokens))
        self._k_bits, self._v_bits = slab[0], slab[1]
        self.reset()

    def _check_limit(self, n_bytes: int, limit_bytes: int | None) -> None:
        purpose = f"a hot tier of {self.capacity_tokens:,} tokens"
        if limit_bytes is not None and n_bytes > limit_bytes:
            raise UsageError(
                f"{purpose} needs {n_bytes / MIB:,.1f} MiB, its limit is "
                f"{limit_bytes / MIB:,.1f} MiB; keep fewer tokens or raise limit_bytes"
            )
        require_memory(n_bytes, purpose, "keep fewer tokens")

    @property
    def nbytes(self) -> int:
        """Return the bytes of the slab; they never change."""
        return int(self._k_bits.nbytes + self._v_bits.nbytes)

    @property
    def slab(self) -> tuple[Values, Values]:
        """Return K's and V's memory, [layers, capacity_tokens, kv_heads, head_dim], not a copy."""
        return self._k_bits.view(self.geometry.dtype), self._v_bits.view(self.geometry.dtype)

    def use(self, variant: str) -> None:
        """Store through another kernel from now on.

        Raises
        ------
        UsageError   if the record has no such variant
        """
        variants = kv_store.KERNEL.variants
        if variant not in variants:
            raise UsageError(f"no kv_store variant {variant!r}; there are {', '.join(variants)}")
        self.variant = variant
        self._store = variants[variant]

    def reset(self) -> None:
        """Forget every token and count from 0 again; the memory stays."""
        self._sequence_position = self._hot_hits = self._reads = self._misses = 0
        self._evictions = 0

    def store(self, k_tokens: Values, v_tokens: Values) -> None:
        """Append a batch of tokens; each one beyond the capacity evicts the oldest.

        Parameters
        ----------
        k_tokens, v_tokens : geometry.dtype[n_tokens, layers, kv_heads, head_dim]   C-contiguous

        Raises
        ------
        ValueError   if shape, dtype or contiguity differ from the geometry's; nothing is stored
        """
        for name, tokens in (("k_tokens", k_tokens), ("v_tokens", v_tokens)):
            if tokens.dtype != self.geometry.dtype:
                raise ValueError(f"{name} is {tokens.dtype}, the tier holds {self.geometry.dtype}")
        bits = self._k_bits.dtype
        position = self._sequence_position
        k_bits, v_bits = k_tokens.view(bits), v_tokens.view(bits)
        with _COPIES:
            self._store(self._k_bits, self._v_bits, k_bits, v_bits, position)
        self._sequence_position = position + len(k_tokens)
        self._evictions += self._forgotten(self._sequence_position) - self._forgotten(position)

    def _forgotten(self, sequence_position: int) -> int:
        return max(0, sequence_position - self.capacity_tokens)

    def read(self, position: int) -> tuple[Values, Values] | None:
        """Return a copy of a token's (K, V), each [layers, kv_heads, head_dim], or None: a miss.

        A token that was evicted, or not stored yet, is a miss.

        Raises
        ------
        ValueError   if the position is negative
        """
        if position < 0:
            raise ValueError(f"position {position} is negative; positions count from 0")
        self._reads += 1
        if not self._forgotten(self._sequence_position) <= position < self._sequence_position:
            self._misses += 1
            return None
        self._hot_hits += 1
        k_slab, v_slab = self.slab
        slot = position % self.capacity_tokens
        return k_slab[:, slot].copy(), v_slab[:, slot].copy()

    def stats(self) -> TierStats:
        """Return the counters as they are now."""
        return TierStats(
            sequence_position=self._sequence_position,
            hot_tokens=min(self._sequence_position, self.capacity_tokens),
            hot_capacity_tokens=self.capacity_tokens,
            hot_hits=self._hot_hits,
            misses=self._misses,
            evictions=self._evictions,
        )

    def check(self) -> None:
        """Assert what must always hold: no token uncounted, no read uncounted, no byte too many."""
        stats = self.stats()
        assert stats.hot_tokens + stats.evictions == stats.sequence_position, stats
        assert stats.hot_hits + stats.cold_hits + stats.misses == self._reads, (stats, self._reads)
        assert self.nbytes == self.capacity_tokens * self.geometry.bytes_per_token, self.nbytes
