"""Compare a policy with its naive version, victim by victim, on references of several kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.contracts.policy_contract import use
from tests.workbench.tiering.eviction.naive import NAIVE

CAPACITIES = (1, 2, 3, 10, 37)


def references() -> Iterator[list[int]]:
    """Give skewed ones, a loop a little too long for every cache, and scans through a hot set."""
    rng = random.Random(5)
    yield [int(rng.paretovariate(0.7)) % 200 for _ in range(3000)]
    yield [n % 41 for n in range(600)]
    hot = [rng.randrange(8) for _ in range(1500)]
    yield [n if n % 3 else 1000 + n for n in hot for _ in range(1)]
    yield [key for n in range(200) for key in (n % 5, 100 + n, n % 7)]


def assert_same_victims(name: str, make: Callable[[int], Any]) -> None:
    """Serve the same references to both and compare what goes each time."""
    for keys in references():
        for capacity in CAPACITIES:
            policy, naive = make(capacity), NAIVE[name](capacity)
            for at, key in enumerate(keys):
                expected = naive.use(key)
                assert use(policy, key) == expected, (capacity, at, key)
            policy.check()
