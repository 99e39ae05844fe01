"""found_config(): a store opens with what its folder alone says, and loses nothing by it."""

from __future__ import annotations

import pytest

from tests.torture.model import key_of, value_of
from workbench.errors import UsageError
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig, found_config

MADE = [
    SsdTierConfig(8 << 20, 1 << 20, flush_every_s=None),
    SsdTierConfig(3 << 20, 256 << 10, max_blocks=40, flush_every_s=None),
    SsdTierConfig(5_000_001, 64 << 10, max_blocks=7, flush_every_s=None),
]
BLOCKS = {key_of(n): value_of(n, 1, 5000) for n in range(5)}


def make(folder, config):
    with SsdTier.open(folder, config) as tier:
        for key, value in BLOCKS.items():
            assert tier.put(key, value)
        return tier.stats().segments_total


@pytest.mark.parametrize("config", MADE, ids=str)
def test_a_store_opens_by_its_folder_alone_and_again_as_it_was_made(tmp_path, config):
    n_segments = make(tmp_path / "store", config)
    for opened_with in (found_config(tmp_path / "store"), config):
        with SsdTier.open(tmp_path / "store", opened_with) as tier:
            assert tier.stats().segments_total == n_segments
            assert {key: tier.get(key) for key in BLOCKS} == BLOCKS
            assert tier.check().sound


def test_a_segment_that_was_cut_does_not_decide(tmp_path):
    make(tmp_path, MADE[0])
    with (tmp_path / "segment-00000").open("r+b") as file:
        file.truncate(4096)
    assert found_config(tmp_path).segment_bytes == 1 << 20


@pytest.mark.parametrize("name", [".", "segment-1", "segment-00000.old", "index"])
def test_a_folder_without_a_store_is_refused(tmp_path, name):
    if name != ".":
        (tmp_path / name).write_bytes(bytes(4096))
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"there is no store; give the folder"):
            found_config(folder)
