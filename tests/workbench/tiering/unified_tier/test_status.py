"""What a status says of all tiers together."""

import json
from dataclasses import replace

import pytest

from workbench.tiering.unified_tier.status import Health, Memory, Status, TierStatus

RAM = TierStatus("ram", True, Health.HEALTHY, "", 10, 20, 0.5)
SSD = TierStatus("ssd", True, Health.HEALTHY, "", 30, 40, 0.25)
NETWORK = TierStatus("network", False, Health.OFF, "not configured", 0, 0, 0.0)
STATUS = Status((RAM, SSD, NETWORK), Memory(1, 2, 3, 4, 5, 6), 7, 8, 9)


@pytest.mark.parametrize(
    ("ram", "ssd", "wanted", "health"),
    [
        ("healthy", "healthy", False, "healthy"),
        ("healthy", "healthy", True, "degraded"),
        ("healthy", "off", False, "degraded"),
        ("off", "healthy", False, "off"),
    ],
)
def test_the_whole_is_as_healthy_as_what_is_wanted(ram, ssd, wanted, health):
    tiers = (
        replace(RAM, health=Health(ram)),
        replace(SSD, health=Health(ssd)),
        replace(NETWORK, wanted=wanted),
    )
    assert replace(STATUS, tiers=tiers).health == health


def test_it_is_json():
    record = json.loads(json.dumps(STATUS.record()))
    assert record["health"] == "healthy"
    assert record["tiers"][2]["reason"] == "not configured"
    assert record["memory"]["prompt_cache_bytes"] == 4
    assert STATUS["ssd"] is SSD


def test_it_is_prometheus_text():
    lines = STATUS.prometheus().splitlines()
    assert 'unified_tier_health{tier="network",health="off"} 1' in lines
    assert 'unified_tier_health{tier="network",health="healthy"} 0' in lines
    assert 'unified_tier_hit_rate{tier="ssd"} 0.25' in lines
    assert "unified_tier_memory_weights_bytes 1" in lines
    assert "unified_tier_split_moves_total 9" in lines
    types = [line for line in lines if line.startswith("#")]
    assert len(types) == len(set(types))
