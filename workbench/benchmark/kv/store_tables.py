"""Lay out Day 3's tables: the ladder, the geometries, and what became of each claim.

Follows: targets.py, where a ceiling below what is wanted reads "out of reach here".
Leaves out: measuring (store_ablation.py).
"""

from __future__ import annotations

import polars as pl

from workbench.benchmark.kv.store_ablation import (
    BASELINE,
    BLOCKS,
    COMPILED,
    CONVERTED,
    HALVES,
    HEAD_MAJOR,
    LADDER,
    NONTEMPORAL,
    NUMPY,
    QUANTISED,
    THREADS,
    TOKEN_MAJOR,
    VECTOR,
    WANTED_TOKENS_S,
    GeometryStores,
    StoreAblation,
    ceiling_name,
)
from workbench.benchmark.kv.store_arena import CEILING
from workbench.benchmark.statistics import Claim, Ratio

OVER_BASELINE, OF_CEILING = Claim.parse(">= 10x"), Claim.parse(">= 0.9x")

_TOLD = {
    BASELINE: "NumPy, a layer and token a call, float32",
    COMPILED: "compiled loop over a batch",
    BLOCKS: "blocks of 64 tokens, not a ring",
    HALVES: "half the bytes",
    VECTOR: "64 bytes a store",
    NONTEMPORAL: "past the cache",
    THREADS: "more threads",
    QUANTISED: "quantised on the way",
    TOKEN_MAJOR: "aside: float16 ring, past the cache",
    HEAD_MAJOR: "aside: the same, head-major",
    CONVERTED: "aside: converted on the way, threads",
    NUMPY: "aside: NumPy, float16 blocks",
}


def ladder(found: StoreAblation) -> pl.DataFrame:
    """Return a row a case of the seed geometry: its rate, what its part adds, and over all."""
    samples = found.seed.samples
    lines = []
    previous = BASELINE
    for name in (*LADDER, TOKEN_MAJOR, HEAD_MAJOR, CONVERTED, NUMPY):
        lines.append(
            {
                "case": name,
                "what it is": _TOLD[name],
                "tokens/s": round(samples.median_rate(name)),
                "step": f"{samples.ratio(name, previous).median:.2f}x"
                if name in LADDER[1:]
                else "",
                "over baseline": str(samples.ratio(name, BASELINE)),
            }
        )
        previous = name
    for name in ceilings(found.seed):
        line = {"case": name, "what it is": "best copy of the same bytes"}
        lines.append(line | {"tokens/s": round(samples.median_rate(name))})
    return pl.DataFrame(lines, infer_schema_length=None)


def ceilings(stores: GeometryStores) -> list[str]:
    """Return the names of a geometry's ceilings."""
    return [name for name in stores.samples.seconds if name.startswith(CEILING)]


def geometries(found: StoreAblation) -> pl.DataFrame:
    """Return a row a geometry and number of threads: float16 stores beside their ceiling."""
    lines = []
    for stores in found.stores:
        for name, threads in ((NONTEMPORAL, 1), (THREADS, stores.threads)):
            ceiling = ceiling_name("float16", threads)
            lines.append(
                {
                    "geometry": stores.name,
                    "shape": _shape(stores),
                    "KiB a token": stores.geometry.bytes_per_token / 1024,
                    "threads": threads,
                    "tokens/s": round(stores.samples.median_rate(name)),
                    "ceiling": round(stores.samples.median_rate(ceiling)),
                    "of the ceiling": str(found.over_ceiling(stores, name)),
                }
            )
    return pl.DataFrame(lines)


def _shape(stores: GeometryStores) -> str:
    geometry = stores.geometry
    return f"{geometry.layers} x {geometry.kv_heads} x {geometry.head_dim}"


def claims(found: StoreAblation) -> pl.DataFrame:
    """Return a row a claim: what was reached, what was wanted, and what the ceiling allows."""
    seed = found.seed
    samples, best, ceiling = seed.samples, seed.best, seed.ceiling
    rate, most = samples.median_rate(best), samples.median_rate(ceiling)
    return pl.DataFrame(
        [
            {
                "claim": "float16, times the baseline's tokens/s",
                "standing": _standing(
                    OVER_BASELINE, samples.ratio(best, BASELINE), samples.ratio(ceiling, BASELINE)
                ),
                "here": samples.ratio(best, BASELINE).median,
                "wanted": OVER_BASELINE.factor,
                "ceiling": samples.ratio(ceiling, BASELINE).median,
            },
            {
                "claim": "float16, tokens/s",
                "standing": "reached"
                if rate >= WANTED_TOKENS_S
                else "out of reach here"
                if most < WANTED_TOKENS_S
                else "open",
                "here": rate,
                "wanted": WANTED_TOKENS_S,
                "ceiling": most,
            },
            {
                "claim": "part of the copy ceiling, same threads",
                "standing": _standing(OF_CEILING, found.over_ceiling(seed, best), None),
                "here": found.over_ceiling(seed, best).median,
                "wanted": OF_CEILING.factor,
                "ceiling": 1.0,
            },
        ]
    )


def _standing(claim: Claim, ratio: Ratio, ceiling: Ratio | None) -> str:
    judged = claim.judge(ratio)
    if judged == "holds":
        return "reached"
    if ceiling is not None and ceiling.median < claim.factor:
        return "out of reach here"
    return "open" if judged == "refuted" else judged


def sentence(found: StoreAblation) -> str:
    """Say in words how far the machine's own copy ceiling lets the store come."""
    seed = found.seed
    ceiling = seed.samples.median_rate(seed.ceiling)
    times = seed.samples.ratio(seed.ceiling, BASELINE).median
    allows = "allows" if times >= OVER_BASELINE.factor else "does not allow"
    return (
        f"The copy ceiling of this machine is {ceiling:,.0f} tokens/s, {times:.1f} times the "
        f"baseline: it {allows} {OVER_BASELINE.factor:g}x. The store reaches "
        f"{found.over_ceiling(seed, seed.best).median:.2f} of the copy on as many threads."
    )
