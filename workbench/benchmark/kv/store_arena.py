"""Set up what stores are timed in: tokens, slabs of blocks, rings, and the copy ceiling.

Follows: a batch of tokens stored again and again, each time to the places written longest ago; the
ceiling copies the same bytes from the same tokens to the same slab, end to end.
Leaves out: which cases make an experiment (store_ablation.py, store_bars.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from kernels import copy
from kernels.block_target import Store
from workbench.benchmark.paired import Case, timed_on_threads
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate, require_memory
from workbench.tiering.tiered_kv_cache.layout import BLOCK_TOKENS, BlockLayout

CEILING = "copy_ceiling"
CEILING_VARIANTS = ("njit_vector", "njit_nontemporal", "njit_nontemporal_pages")

Values = NDArray[np.generic]
Batch = tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class StorePlan:
    """How much is stored.

    Attributes
    ----------
    hot_tokens : int     tokens that a slab holds, a multiple of 64 and of batch_tokens
    batch_tokens : int   tokens a call
    store_tokens : int   tokens a round and case, a multiple of batch_tokens
    rounds : int         interleaved rounds; a ratio with an interval needs 10
    """

    hot_tokens: int
    batch_tokens: int
    store_tokens: int
    rounds: int

    def __post_init__(self) -> None:
        problems = [
            f"{name}={getattr(self, name)} must be at least 1"
            for name in ("hot_tokens", "batch_tokens", "store_tokens", "rounds")
            if getattr(self, name) < 1
        ]
        if not problems and self.hot_tokens % BLOCK_TOKENS:
            problems.append(f"hot_tokens={self.hot_tokens} must be a multiple of {BLOCK_TOKENS}")
        if not problems and self.hot_tokens % self.batch_tokens:
            problems.append(
                f"hot_tokens={self.hot_tokens} must be a multiple of {self.batch_tokens} tokens"
            )
        if not problems and self.store_tokens % self.batch_tokens:
            problems.append(
                f"store_tokens={self.store_tokens} must be a multiple of {self.batch_tokens} tokens"
            )
        if problems:
            raise UsageError(problems)


class StoreArena:
    """Tokens of one geometry, and memory of every dtype to store them in; freed with it.

    Parameters
    ----------
    geometry : KVGeometry   its dtype does not matter; every case names what it stores
    plan : StorePlan

    Raises
    ------
    UsageError   if a slab of float32 and its tokens do not fit into the free memory
    """

    def __init__(self, geometry: KVGeometry, plan: StorePlan) -> None:
        self.geometry = geometry
        self.plan = plan
        token_bytes = replace(geometry, dtype="float32").bytes_per_token
        need = 2 * (plan.hot_tokens + plan.batch_tokens) * token_bytes
        require_memory(need, f"storing into {plan.hot_tokens} tokens", "lower hot_tokens")
        self._memory: dict[tuple[str, str], Values] = {}

    def blocks(self, name: str, store: Store, source: str, stored: str, threads: int) -> Case:
        """Return a case that stores batches of one dtype into blocks of another.

        Every thread stores its share of every batch's tokens; at most one thread a token.
        """
        layout = BlockLayout(replace(self.geometry, dtype=stored))
        places = np.array([layout.places(layer) for layer in range(self.geometry.layers)])
        n_slots = self.plan.hot_tokens // layout.block_tokens
        slab = self._kept("blocks", stored, n_slots * layout.block_bytes).reshape(n_slots, -1)
        tokens = self.tokens(source)

        def batch(positions: NDArray[np.int64], part: slice) -> Batch:
            slots, rows = np.divmod(positions[part], layout.block_tokens)
            return slab, slots, rows, places, tokens[0, part], tokens[1, part]

        return self._case(name, store, batch, threads)

    def ring(
        self,
        name: str,
        store: Callable[..., None],
        dtype: str,
        *,
        head_major: bool = False,
        at_once: bool = True,
    ) -> Case:
        """Return a case that stores into a ring of slabs, a batch a call or a token a call."""
        geometry, plan = replace(self.geometry, dtype=dtype), self.plan
        n_bytes = plan.hot_tokens * geometry.bytes_per_token
        carrier = "uint16" if dtype == "float16" else dtype  # Numba knows no float16
        memory = self._kept("ring", dtype, n_bytes).view(carrier)
        layers, capacity, heads, head_dim = geometry.slab_shape(plan.hot_tokens)
        middle = (heads, capacity) if head_major else (capacity, heads)
        k_slab, v_slab = memory.reshape(2, layers, *middle, head_dim)
        tokens = self.tokens(dtype).view(carrier)

        def batch(positions: NDArray[np.int64], part: slice) -> Batch:
            return k_slab, v_slab, tokens[0, part], tokens[1, part], positions[0]

        def one_by_one(*arguments: Values) -> None:
            k_slab, v_slab, k_tokens, v_tokens, position = arguments
            for index in range(len(k_tokens)):
                part = slice(index, index + 1)
                store(k_slab, v_slab, k_tokens[part], v_tokens[part], position + index)

        return self._case(name, store if at_once else one_by_one, batch, 1)

    def ceilings(self, dtype: str, threads: int) -> list[Case]:
        """Return copies of a batch's bytes to the slab of blocks, one case a copy kernel."""
        layout = BlockLayout(replace(self.geometry, dtype=dtype))
        n_bytes = self.plan.hot_tokens // layout.block_tokens * layout.block_bytes
        slab = self._kept("blocks", dtype, n_bytes)
        source = self.tokens(dtype).reshape(-1).view(np.uint8)
        token_bytes = replace(self.geometry, dtype=dtype).bytes_per_token

        def batch(positions: NDArray[np.int64], part: slice) -> Batch:
            start = int(positions[0]) * token_bytes
            share = slice(part.start * token_bytes, part.stop * token_bytes)
            return slab[start:][share], source[share]

        return [
            self._case(f"{CEILING} {variant}", copy.KERNEL.variants[variant], batch, threads)
            for variant in CEILING_VARIANTS
        ]

    def tokens(self, dtype: str) -> Values:
        """Return a batch's K and V, [2, batch_tokens, layers, kv_heads, head_dim], random."""
        geometry = self.geometry
        shape = (2, self.plan.batch_tokens, geometry.layers, geometry.kv_heads, geometry.head_dim)
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        is_new = ("tokens", dtype) not in self._memory
        values = self._kept("tokens", dtype, n_bytes).view(dtype).reshape(shape)
        if is_new:
            rng = np.random.default_rng(0)
            for token in range(self.plan.batch_tokens):
                values[:, token] = rng.standard_normal((2, *shape[2:]), dtype=np.float32)
        return values

    def _kept(self, what: str, dtype: str, n_bytes: int) -> Values:
        """Return memory that all cases of this kind share, so that none finds it warmer."""
        if (what, dtype) not in self._memory:
            self._memory[what, dtype] = allocate(n_bytes)
        return self._memory[what, dtype]

    def _case(
        self,
        name: str,
        function: Callable[..., None],
        batch: Callable[[NDArray[np.int64], slice], Batch],
        threads: int,
    ) -> Case:
        """Return a case whose threads each run their share of one batch after the other."""
        plan = self.plan
        n_batches = plan.store_tokens // plan.batch_tokens
        bounds = np.linspace(0, plan.batch_tokens, threads + 1).astype(int)
        shares: list[tuple[object, ...]] = []
        for start, stop in pairwise(bounds):
            part = slice(int(start), int(stop))
            batches = [
                batch(np.arange(first, first + plan.batch_tokens), part)
                for first in range(0, plan.hot_tokens, plan.batch_tokens)
            ]
            shares.append((function, cycle(batches), n_batches))
        return Case(name, timed_on_threads(_run, shares), plan.store_tokens)


def _run(function: Callable[..., None], batches: Iterator[Batch], n_batches: int) -> None:
    for arguments in islice(batches, n_batches):
        function(*arguments)
