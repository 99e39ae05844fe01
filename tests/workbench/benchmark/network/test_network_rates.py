"""Rates beside the raw client: every case moves the same bytes, each round."""

import numpy as np
import pytest

from workbench.benchmark.network import network_rates
from workbench.benchmark.network.network_rates import BATCH, ONE, RAW, RAW_AGAIN, RatesPlan
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig


def test_every_case_is_timed_every_round():
    seen = []
    samples = network_rates.measure(RatesPlan(10_000, 3, 2), seen.append)
    assert set(samples.seconds) == {RAW, ONE, BATCH, RAW_AGAIN}
    assert all(len(seconds) == 2 and (seconds > 0).all() for seconds in samples.seconds.values())
    assert set(samples.work.values()) == {30_000}
    assert seen == [1, 2]


def test_a_missing_block_is_not_timed():
    with EmbeddedServer() as server, NetworkTier.open(NetworkTierConfig(server.url)) as tier:
        room = np.zeros((1, 10), np.uint8)
        with pytest.raises(RuntimeError, match="missed"):
            network_rates._one_by_one(tier, [bytes(32)], room)
        with pytest.raises(RuntimeError, match="missed"):
            network_rates._batch(tier, [bytes(32)], room)
        with network_rates._raw_client(server) as client, pytest.raises(RuntimeError):
            network_rates._raw(client, [b"nothing"])
