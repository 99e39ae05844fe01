"""A slow tier gives the real blocks, and never sooner than its rate allows."""

from __future__ import annotations

import time

from workbench.benchmark.network.slow_tier import SlowTier
from workbench.tiering.ssd_tier import SsdTierConfig

KEYS = [bytes([number]) * 32 for number in range(4)]


def test_bytes_are_the_stored_ones_and_take_their_time(disk_folder):
    with SlowTier.open(disk_folder / "store", SsdTierConfig(64 << 20, 8 << 20)) as tier:
        for key in KEYS:
            assert tier.put(key, key * 512)
        tier.rate_bytes_s = 4 * 16_384 / 0.2
        start = time.perf_counter()
        payloads = tier.get_many([*KEYS, b"?" * 32])
        # A deadline from below: it may be later, never sooner.
        assert time.perf_counter() - start >= 0.2
        assert [payload and bytes(payload) for payload in payloads] == [
            *(key * 512 for key in KEYS),
            None,
        ]
