"""A status is put together from what the tiers really have."""

from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.unified_tier.opened import on_disk, serving
from workbench.inference.llama import LlamaModel
from workbench.tiering.unified_tier import Health, UnifiedTier, UnifiedTierConfig


def test_before_a_model_is_served_there_are_only_buffers(tmp_path):
    with UnifiedTier(UnifiedTierConfig(**on_disk(tmp_path))) as tiers:
        status = tiers.status()
        assert status.memory.kv_bytes == 0
        assert status["ram"].hit_rate == status["ssd"].hit_rate == 0.0
        assert 0 < status["ssd"].used_bytes <= status["ssd"].limit_bytes
        assert not status["network"].wanted


def test_memory_is_told_apart_and_blocks_are_found_where_they_are(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        with serving(model, **on_disk(tmp_path)) as tiers:
            block = tiers.cache.layout.block_bytes
            with tiers.session() as session:
                session.feed(ids(200))
                memory = tiers.status().memory
                assert memory.in_use_bytes == 4 * block
                assert memory.prompt_cache_bytes == 0
                assert tiers.status().sessions == 1
                assert session.persist()
            memory = tiers.status().memory
            assert (memory.in_use_bytes, memory.prompt_cache_bytes) == (0, 3 * block)
            with tiers.session() as session:
                session.feed(ids(200))
            status = tiers.status()
            assert status["ram"].hit_rate == 0.5
            assert status["ram"].used_bytes <= status["ram"].limit_bytes
            assert status.health is Health.HEALTHY
        with serving(model, **on_disk(tmp_path)) as tiers:
            with tiers.session() as session:
                session.feed(ids(200))
            assert tiers.status()["ssd"].hit_rate == 1.0
