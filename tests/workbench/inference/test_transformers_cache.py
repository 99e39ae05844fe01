"""The cache for transformers: what a tiny random Llama writes is what it writes with its own cache.

Run by `make test-transformers`; elsewhere these are left out (tests/conftest.py), but for one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, CacheFullError, TieredKVCache

GEOMETRY = KVGeometry(layers=3, kv_heads=2, head_dim=16, dtype="float32")
SIZE = 4  # tokens a block
BLOCK_BYTES = CacheConfig(GEOMETRY, 1 << 20, SIZE).layout.block_bytes
STORE = SsdTierConfig(capacity_bytes=16 << 20, segment_bytes=1 << 20, max_blocks=1000)
N_NEW = 40
needs_transformers = pytest.mark.transformers


def test_without_torch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "workbench.inference.transformers_cache"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"needs torch, .* '\.\[transformers\]' brings"):
        __import__(name)


@pytest.fixture(scope="module")
def model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    shape = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes = {"hidden_size": 64, "intermediate_size": 96, "vocab_size": 128}
    config = LlamaConfig(**shape, **sizes, initializer_range=0.3, eos_token_id=None)
    return LlamaForCausalLM(config).eval()


def prompt(n_tokens: int, seed: int = 1) -> Any:
    import torch

    return torch.randint(3, 128, (1, n_tokens), generator=torch.Generator().manual_seed(seed))


def written(model: Any, ids: Any, past: Any, **options: Any) -> list[int]:
    """Return the whole text's ids, greedily chosen."""
    import torch

    settings = {"max_new_tokens": N_NEW, "do_sample": False, "pad_token_id": 0, **options}
    mask = torch.ones_like(ids)
    out = model.generate(ids, attention_mask=mask, past_key_values=past, **settings)
    return out[0].tolist()


def expected(model: Any, ids: Any) -> list[int]:
    from transformers import DynamicCache

    text = written(model, ids, DynamicCache())
    assert len(set(text[ids.shape[1] :])) > 8  # a model that repeats itself would prove little
    return text


def tiered(sequence: Any, model: Any) -> Any:
    from workbench.inference.transformers_cache import TieredCache

    return TieredCache(sequence, model)


@contextmanager
def kv_cache(folder: Path, n_slots: int, **changes: Any) -> Iterator[TieredKVCache]:
    settings = CacheConfig(
        GEOMETRY, n_slots * BLOCK_BYTES, SIZE, write_wait_s=30.0, staging_bytes=1 << 20, **changes
    )
    with SsdTier.open(folder, STORE) as ssd, TieredKVCache(settings, ssd, fingerprint=b"t") as kv:
        yield kv
        kv.check()


@needs_transformers
def test_all_hot_it_writes_the_same(model: Any, tmp_path: Path) -> None:
    ids = prompt(23)
    with kv_cache(tmp_path, 64) as kv, kv.sequence() as sequence:
        with tiered(sequence, model) as past:
            text = written(model, ids, past)
        assert text == expected(model, ids)
        # The last token was chosen, but not fed.
        assert sequence.token_ids == text[:-1]
        assert kv.stats().cold_frames_read == 0


@needs_transformers
@pytest.mark.parametrize("chunk_tokens", [None, 7])
def test_spilled_it_writes_the_same(model: Any, tmp_path: Path, chunk_tokens: int | None) -> None:
    ids = prompt(101)
    with kv_cache(tmp_path, 6) as kv, kv.sequence() as sequence:
        with tiered(sequence, model) as past:
            text = written(model, ids, past, prefill_chunk_size=chunk_tokens)
        assert text == expected(model, ids)
        stats = kv.stats()
        assert stats.cold_frames_read > 0
        assert stats.evictions > 0
        assert stats.blocks_lost == 0
        assert len(sequence.cold_blocks()) > sequence.n_blocks // 2


@needs_transformers
def test_persisted_and_reopened_it_goes_on(model: Any, tmp_path: Path) -> None:
    ids = prompt(50)
    whole = expected(model, ids)
    with kv_cache(tmp_path, 6) as kv, kv.sequence() as sequence:
        with tiered(sequence, model) as past:
            assert written(model, ids, past, max_new_tokens=13) == whole[:63]
        assert sequence.persist()
    with kv_cache(tmp_path, 6) as kv, kv.load(whole[:70]) as load:
        assert load.wait() == 62  # the partial block too
        with tiered(load.sequence, model) as past:
            n_fed: list[int] = []
            hook = model.register_forward_pre_hook(
                lambda _model, _args, kwargs: n_fed.append(kwargs["input_ids"].shape[1]),
                with_kwargs=True,
            )
            text = written(model, ids.new_tensor([whole[:70]]), past, max_new_tokens=20)
            hook.remove()
    assert text == whole
    assert n_fed == [8] + [1] * 19


@needs_transformers
def test_a_prefix_is_shared_and_a_turn_is_added(model: Any, tmp_path: Path) -> None:
    import torch

    ids = prompt(21)
    with kv_cache(tmp_path, 64) as kv, kv.sequence() as first, tiered(first, model) as past:
        text = written(model, ids, past, max_new_tokens=5)
        longer = torch.cat([ids.new_tensor([text]), prompt(9, seed=2)], dim=1)
        # Two caches on one model: each sees its own calls only.
        with kv.load(longer[0].tolist()) as load:
            assert load.wait() == 24
            with tiered(load.sequence, model) as other:
                assert written(model, longer, other) == expected(model, longer)
        assert written(model, longer, past) == expected(model, longer)


@needs_transformers
def test_half_precision_states_come_back_as_such(model: Any, tmp_path: Path) -> None:
    import torch

    with kv_cache(tmp_path, 64) as kv, kv.sequence() as sequence, tiered(sequence, model) as past:
        with torch.no_grad():
            model(prompt(5), past_key_values=past)
        k, _ = sequence.gather(0, 0, 5)
        past._token_ids = [1]
        new = torch.ones((1, 2, 1, 16), dtype=torch.bfloat16)
        keys, values = past.update(new, new, 0)
        assert keys.dtype == values.dtype == torch.bfloat16
        assert keys.shape == (1, 2, 6, 16)
        assert torch.equal(keys[0, :, :5], torch.from_numpy(k).transpose(0, 1).bfloat16())


@needs_transformers
def test_cropped_and_reset_it_goes_on_from_there(model: Any, tmp_path: Path) -> None:
    ids = prompt(23)
    with kv_cache(tmp_path, 64) as kv, kv.sequence() as sequence, tiered(sequence, model) as past:
        text = written(model, ids, past)
        past.crop(0)
        past.crop(-30)
        assert past.get_seq_length() == sequence.n_tokens == len(text) - 31
        assert written(model, ids.new_tensor([text[:40]]), past, max_new_tokens=23) == text
        past.reset()
        assert past.get_seq_length() == 0
        assert written(model, ids, past) == text
        with pytest.raises(UsageError, match=r"crop\(3\) removes nothing"):
            past.crop(3)


@needs_transformers
def test_without_room_nothing_is_kept(model: Any, tmp_path: Path) -> None:
    settings = CacheConfig(GEOMETRY, 3 * BLOCK_BYTES, SIZE)
    with TieredKVCache(settings) as kv, kv.sequence() as sequence, tiered(sequence, model) as past:
        with pytest.raises(CacheFullError):
            written(model, prompt(40), past)
        assert sequence.n_tokens == 0
        ids = prompt(5)
        assert written(model, ids, past, max_new_tokens=6) == expected(model, ids)[:11]


@needs_transformers
def test_what_it_cannot_keep_is_refused_before_it_is_kept(model: Any, tmp_path: Path) -> None:
    import torch

    ids = prompt(8)
    padded = torch.ones_like(ids)
    padded[0, 0] = 0
    embedded = torch.zeros((1, 3, 64))
    calls = {
        "one sequence, not 2": {"input_ids": ids.repeat(2, 1)},
        "no masked tokens": {"input_ids": ids, "attention_mask": padded},
        r"position_ids must be 0\.\.7": {"input_ids": ids, "position_ids": ids * 0 + 3},
        "a mask of 9 tokens for 0 cached and 8": {
            "input_ids": ids,
            "attention_mask": torch.ones((1, 9)),
        },
        "give input_ids": {"inputs_embeds": embedded},
    }
    with kv_cache(tmp_path, 64) as kv, kv.sequence() as sequence, tiered(sequence, model) as past:
        for what, call in calls.items():
            with pytest.raises(UsageError, match=what):
                model(**call, past_key_values=past)
        with pytest.raises(UsageError, match=r"one sequence"):
            written(model, ids, past, num_beams=2)
        with pytest.raises(UsageError, match="num_beams=1"):
            past.reorder_cache(torch.tensor([0]))
        for change in (lambda: past.batch_repeat_interleave(2), lambda: past.__deepcopy__({})):
            with pytest.raises(UsageError):
                change()
        # A model that the cache was not made for tells it no ids.
        with pytest.raises(UsageError, match="8 tokens came from a call with 0 ids"):
            model.model(ids, past_key_values=past)
        assert sequence.n_tokens == 0
        assert written(model, ids, past) == expected(model, ids)


@needs_transformers
def test_a_prompt_that_is_all_cached_is_refused(model: Any, tmp_path: Path) -> None:
    ids = prompt(8)
    with kv_cache(tmp_path, 64) as kv, kv.sequence() as sequence, tiered(sequence, model) as past:
        model(ids, past_key_values=past)
        with pytest.raises(UsageError, match="cut the sequence with truncate"):
            written(model, ids, past)
        sequence.truncate(7)
        assert written(model, ids, past) == expected(model, ids)


@needs_transformers
def test_another_model_is_refused(model: Any) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 96, "vocab_size": 128}
    other = LlamaForCausalLM(
        LlamaConfig(num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, **sizes)
    )
    shape = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    sliding = MistralForCausalLM(MistralConfig(sliding_window=8, **shape, **sizes))
    with TieredKVCache(CacheConfig(GEOMETRY, 8 * BLOCK_BYTES, SIZE)) as kv:
        with pytest.raises(UsageError, match=r"layers=3, but .* 1") as caught:
            tiered(kv.sequence(), other)
        assert len(caught.value.problems) == 3
        with pytest.raises(UsageError, match="can be kept, not sliding"):
            tiered(kv.sequence(), sliding)
