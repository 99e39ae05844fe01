"""Made-up rounds of Day 3: rates that are what a test says, without measuring."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.benchmark.kv.store_ablation import (
    CONVERTED,
    GEOMETRIES,
    HEAD_MAJOR,
    LADDER,
    NONTEMPORAL,
    NUMPY,
    THREADS,
    TOKEN_MAJOR,
    AblationPlan,
    GeometryStores,
    StoreAblation,
    ceiling_name,
    plan_for,
)
from workbench.benchmark.paired import Samples

_LADDER_RATES = dict(zip(LADDER, (4e3, 8e3, 8e3, 16e3, 20e3, 38e3, 36e3, 34e3), strict=True))
_ASIDE = {TOKEN_MAJOR: 38e3, HEAD_MAJOR: 37e3, CONVERTED: 18e3, NUMPY: 10e3}
_CEILINGS = {
    ceiling_name("float16", 1): 40e3,
    ceiling_name("float16", 2): 42e3,
    ceiling_name("float32", 1): 20e3,
}


def samples(rates: Mapping[str, float]) -> Samples:
    """Return ten equal rounds of each rate, tokens/s."""
    return Samples(
        {name: np.full(10, 1 / rate) for name, rate in rates.items()}, dict.fromkeys(rates, 1.0)
    )


def ablation(**changed: float) -> StoreAblation:
    """Return an experiment in which every case's rate is known, some of the seed's changed."""
    ends = {NUMPY: 10e3, NONTEMPORAL: 60e3, THREADS: 61e3}
    ends |= {name: 65e3 for name in (ceiling_name("float16", 1), ceiling_name("float16", 2))}
    stores = []
    for name, geometry in GEOMETRIES.items():
        rates = _LADDER_RATES | _ASIDE | _CEILINGS | changed if name == "seed" else ends
        plan = plan_for(geometry, AblationPlan())
        stores.append(GeometryStores(name, geometry, plan, 2, samples(rates)))
    return StoreAblation(tuple(stores))
