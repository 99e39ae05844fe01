"""Hits that libCacheSim, the reference simulator of the field, counts on a whole real trace.

Counted once with the package libcachesim 0.3.5 on Mooncake's conversation trace, each request's
blocks deepest first, every block a reference of its own. It is not installed with the tests: its
counts do not change, and its wheels do not exist for every platform.
"""

from __future__ import annotations

from typing import Any

from tests.contracts.policy_contract import use
from workbench.benchmark.caching.trace import Trace

LIBCACHESIM = {
    "fifo": {1000: 12_559, 8192: 47_829},
    "lru": {1000: 12_831, 8192: 52_243},
    "lfu": {1000: 13_871, 8192: 34_186},
    "arc": {1000: 15_275, 8192: 56_320},
    "s3_fifo": {1000: 15_719, 8192: 51_858},
    "min": {1000: 54_994, 8192: 105_710},
}


def object_hits(policy: Any, trace: Trace) -> int:
    """Count hits with no regard to prefixes."""
    hits = 0
    for request in trace:
        for key in reversed(request.tolist()):
            hits += key in policy
            use(policy, key)
    return hits
