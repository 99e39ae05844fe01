"""The parts of one RAM budget add up to it."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout
from workbench.tiering.unified_tier import UnifiedTierConfig
from workbench.tiering.unified_tier.ram_plan import RamPlan, bytes_of_tokens

MIB = 1 << 20


@pytest.mark.parametrize("ram", [8 * MIB, 300 * MIB, 5 << 30])
@pytest.mark.parametrize("network", [{}, {"network_url": "valkey://h", "network_queue_bytes": 1}])
@pytest.mark.parametrize("folder", [None, "store"])
def test_the_parts_are_the_budget(ram, network, folder):
    if network and (folder is None or ram < 300 * MIB):
        return
    plan = RamPlan.of(UnifiedTierConfig(ram_bytes=ram, ssd_folder=folder, **network))
    assert plan.buffers_bytes + plan.shared_bytes == ram
    assert plan.shared_bytes >= (ram - plan.network_bytes) // 2
    assert (plan.pool_bytes == 0) == (folder is None)


def test_a_budget_that_buffers_use_up_is_refused_with_its_parts():
    config = UnifiedTierConfig(ram_bytes="90 MiB", ssd_folder="s", network_url="valkey://h")
    with pytest.raises(UsageError, match="128 MiB of it are the network"):
        RamPlan.of(config)


def test_tokens_have_room_and_some_to_spare():
    layout = BlockLayout(KVGeometry(2, 2, 32, "float16"))
    assert bytes_of_tokens(layout, 1) == 5 * layout.block_bytes
    assert bytes_of_tokens(layout, 129) == 7 * layout.block_bytes
    assert RamPlan.of(UnifiedTierConfig()).shared_bytes is None
