"""Measure how fast tokens are stored in the hot tier, beside the copy ceiling of the same bytes.

Follows: the seed report's 1,000-token test, one token a call, with its tier statistics.
Leaves out: memory-to-memory stores of tokens that left the cache (memory_ceiling.py has the limit).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernels import kv_store, tile
from workbench.benchmark import metrics
from workbench.benchmark.paired import Case, Samples, interleave, timed
from workbench.benchmark.progress import meter
from workbench.benchmark.statistics import Ratio
from workbench.errors import UsageError, WorkbenchError
from workbench.tiering.async_io.buffers import fill_random
from workbench.tiering.kv_geometry import SEED, KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache.hot_tier import HotTier, TierStats

CEILING = "copy_ceiling"
# The seed report stored 1,000 tokens and printed where they were.
_STATISTICS_TOKENS = 1000
# Day 1's baselines; what the other variants are worth is Day 3's question.
VARIANTS = ("python_per_head", "numpy_per_layer", "njit_scalar")

Values = NDArray[np.generic]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class KVStoreResult:
    """What `measure` found.

    Attributes
    ----------
    geometry : KVGeometry      of the tokens stored
    store_tokens : int         tokens a round and variant
    samples : Samples          cases: each variant and ``"copy_ceiling"``; work in tokens
    metrics : frame            rows kv_store, tokens/s
    stats : TierStats          of a tier that stored 1,000 tokens, as the seed report did
    ceiling_kernel : str       the tile variant that the ceiling is
    """

    geometry: KVGeometry
    store_tokens: int
    samples: Samples
    metrics: pl.DataFrame
    stats: TierStats
    ceiling_kernel: str

    @property
    def rates(self) -> dict[str, float]:
        """Return the median tokens per second by variant, the ceiling's included."""
        return {name: self.samples.median_rate(name) for name in self.samples.seconds}

    @property
    def statistics(self) -> pl.DataFrame:
        """Return the tier's statistics as a table, a row each."""
        counted = asdict(self.stats)
        return pl.DataFrame({"statistic": list(counted), "value": list(counted.values())})

    def ratio(self, contender: str, baseline: str) -> Ratio:
        """Return how many times the baseline's tokens per second the contender stores."""
        return self.samples.ratio(contender, baseline)


def measure(geometry: KVGeometry, hot_tokens: int, store_tokens: int, rounds: int) -> KVStoreResult:
    """Store one token after the other with every variant, interleaved with the copy ceiling.

    Each variant goes on where the last one stopped in the same ring, so every store goes to the
    slots that were written longest ago. The token stored is always the same one, as fresh in the
    cache as a token that was just computed.

    Parameters
    ----------
    geometry : KVGeometry   of a token
    hot_tokens : int        ring size, >= 1
    store_tokens : int      tokens a round and variant, >= 1
    rounds : int            at least 1; a ratio with an interval needs 10

    Raises
    ------
    UsageError       if a count makes no sense or the slab does not fit into the free memory
    WorkbenchError   if a variant stores anything but what it was given

    Cost    about ``1.2 ms * store_tokens * rounds`` at the seed geometry; one slab of memory.
    """
    _check(store_tokens, rounds)
    tier = HotTier(geometry, hot_tokens)
    k_token, v_token = _token(geometry)
    for variant in VARIANTS:
        _verify(tier, variant)
    cases = _variant_cases(tier, k_token, v_token, store_tokens)
    cases += _ceiling_cases(tier, k_token, v_token, store_tokens)
    with meter("KV store", rounds) as report:
        samples, ceiling_kernel = _keep_best_ceiling(interleave(cases, rounds, on_round=report))
    return KVStoreResult(
        geometry=geometry,
        store_tokens=store_tokens,
        samples=samples,
        metrics=_rows(samples, geometry),
        stats=_statistics(tier, k_token, v_token),
        ceiling_kernel=ceiling_kernel,
    )


def _check(store_tokens: int, rounds: int) -> None:
    problems = [
        f"{name}={value} must be at least 1"
        for name, value in (("store_tokens", store_tokens), ("rounds", rounds))
        if value < 1
    ]
    if problems:
        raise UsageError(problems)


def _token(geometry: KVGeometry) -> tuple[Values, Values]:
    """Return one random token's K and V, [1, layers, heads, head_dim], aligned like the slab."""
    pool = allocate(geometry.bytes_per_token)
    fill_random(pool.data, np.random.default_rng(0))
    pair = pool.view(geometry.dtype).reshape(2, *_token_shape(geometry))
    return pair[0], pair[1]


def _token_shape(geometry: KVGeometry) -> tuple[int, int, int, int]:
    return (1, geometry.layers, geometry.kv_heads, geometry.head_dim)


def _verify(tier: HotTier, variant: str) -> None:
    """Store tokens of distinct content and read them back: a wrong store must not get a rate."""
    tier.reset()
    tier.use(variant)
    n_tokens = min(3, tier.capacity_tokens)
    for slab in tier.slab:
        slab[:, :n_tokens] = 0  # what an earlier variant stored must not pass for this one's
    pattern = np.arange(n_tokens * tier.geometry.values_per_token) % 127 + 1  # fits every dtype
    shape = (2, n_tokens, *_token_shape(tier.geometry)[1:])
    k_tokens, v_tokens = pattern.astype(tier.geometry.dtype).reshape(shape)
    tier.store(k_tokens, v_tokens)
    for position in range(n_tokens):
        got = tier.read(position)
        if got is None or not (
            np.array_equal(got[0], k_tokens[position])
            and np.array_equal(got[1], v_tokens[position])
        ):
            raise WorkbenchError(f"kv_store variant {variant!r} stored token {position} wrongly")


def _variant_cases(
    tier: HotTier, k_token: Values, v_token: Values, store_tokens: int
) -> list[Case]:
    def run(variant: str) -> Callable[[], float]:
        def store_all() -> None:
            for _ in range(store_tokens):
                tier.store(k_token, v_token)

        def timed_run() -> float:
            tier.use(variant)
            return timed(store_all)()

        return timed_run

    return [Case(variant, run(variant), store_tokens) for variant in VARIANTS]


def _ceiling_cases(
    tier: HotTier, k_token: Values, v_token: Values, store_tokens: int
) -> list[Case]:
    """Return the copies of the same bytes, from the same token into the same slab, end to end."""
    pairs = [
        (slab.reshape(-1).view(np.uint8), token.reshape(-1).view(np.uint8))
        for slab, token in zip(tier.slab, (k_token, v_token), strict=True)
    ]
    position = 0

    def run(copy: Callable[..., None]) -> Callable[[], float]:
        def copy_all() -> None:
            nonlocal position
            left = store_tokens
            while left:
                start = position % tier.capacity_tokens
                n_tokens = min(left, tier.capacity_tokens - start)
                for slab, token in pairs:
                    copy(slab[start * token.size : (start + n_tokens) * token.size], token)
                position += n_tokens
                left -= n_tokens

        return timed(copy_all)

    return [
        Case(f"{CEILING} {name}", run(copy), store_tokens)
        for name, copy in tile.KERNEL.variants.items()
    ]


def _keep_best_ceiling(samples: Samples) -> tuple[Samples, str]:
    """Return the samples with the fastest copy as the one ceiling, and its kernel's name."""
    copies = [name for name in samples.seconds if name.startswith(CEILING)]
    best = max(copies, key=samples.median_rate)
    kept = {name: name for name in VARIANTS} | {CEILING: best}
    chosen = Samples(
        {name: samples.seconds[source] for name, source in kept.items()},
        {name: samples.work[source] for name, source in kept.items()},
    )
    return chosen, best.removeprefix(f"{CEILING} ")


def _statistics(tier: HotTier, k_token: Values, v_token: Values) -> TierStats:
    """Return the statistics after storing the seed report's 1,000 tokens into an empty tier."""
    tier.reset()
    tier.use(kv_store.KERNEL.baseline)
    for _ in range(_STATISTICS_TOKENS):
        tier.store(k_token, v_token)
    tier.check()
    return tier.stats()


def _rows(samples: Samples, geometry: KVGeometry) -> pl.DataFrame:
    case = f"geometry={describe(geometry)}"
    return pl.concat(
        metrics.rows(
            "kv_store", "tokens/s", samples.rate(name), tier="hot", case=case, variant=name
        )
        for name in samples.seconds
    )


def describe(geometry: KVGeometry) -> str:
    """Return ``"seed"`` for the seed report's geometry, else its numbers."""
    if geometry == SEED:
        return "seed"
    return f"{geometry.layers}x{geometry.kv_heads}x{geometry.head_dim} {geometry.dtype}"
