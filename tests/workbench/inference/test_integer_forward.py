"""The fast pass: against float64 and exact float32, and the same bits however it is run."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import (
    ARCHITECTURES,
    cache_for,
    ids,
    reference,
    write_model,
)
from workbench.inference.llama import LlamaModel
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

TOKENS = ids(40)


def all_logits(model, sequence, tokens=TOKENS):
    return np.concatenate([rows.copy() for rows in model.logits(tokens, sequence)])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plain_weights_give_the_reference(architecture, tmp_path):
    path = write_model(tmp_path, architecture)
    with LlamaModel.open(path, threads=1) as model, cache_for(model) as cache:
        got = all_logits(model, cache.sequence())
    np.testing.assert_allclose(got, reference(path).logits(TOKENS), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16"])
def test_quantised_weights_cost_what_int8_activations_cost(kind, tmp_path):
    path = write_model(tmp_path, kind=kind, quantized=True)
    with LlamaModel.open(path, threads=1) as model, cache_for(model) as cache:
        got = all_logits(model, cache.sequence())
    expected = reference(path).logits(TOKENS)
    error = np.sqrt(np.mean((got - expected) ** 2)) / expected.std()
    assert error < (1e-5 if kind == "F16" else 0.05)
    assert (got.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_batches_and_threads_change_no_bit(dtype, tmp_path):
    path = write_model(tmp_path, "qwen2", "Q4_1", quantized=True)
    with LlamaModel.open(path, threads=1) as model, cache_for(model, dtype) as cache:
        expected = all_logits(model, cache.sequence())
        with cache.sequence() as sequence:
            single = [model.forward([token], sequence) for token in TOKENS]
    np.testing.assert_array_equal(single, expected)
    with (
        LlamaModel.open(path, threads=3, batch_tokens=7) as model,
        cache_for(model, dtype) as cache,
    ):
        np.testing.assert_array_equal(all_logits(model, cache.sequence()), expected)
        np.testing.assert_array_equal(
            model.forward(TOKENS[:9], cache.sequence()), expected[8]
        )  # the team came back for more


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_tiers_change_no_bit(dtype, tmp_path):
    """All hot; most of it cold and attended from staging memory; and reloaded after a restart."""
    path = write_model(tmp_path, "llama", "Q4_1", quantized=True)
    tokens = ids(150)
    config = SsdTierConfig(64 << 20, segment_bytes=1 << 20, flush_every_s=None)
    with LlamaModel.open(path, threads=2) as model:
        with cache_for(model, dtype) as cache:
            expected = all_logits(model, cache.sequence(), tokens)
            block_bytes = cache.layout.block_bytes
        geometry = model.kv_geometry(dtype)
        few = CacheConfig(geometry, 4 * block_bytes, block_tokens=16, frame_layers=1)
        with SsdTier.open(tmp_path / "store", config) as ssd, TieredKVCache(few, ssd) as cache:
            model.use_cache(cache.layout)
            with cache.sequence() as sequence:
                got = [model.forward(tokens[at : at + 10], sequence) for at in range(0, 150, 10)]
                assert cache.stats().cold_frames_read > 0
                np.testing.assert_array_equal(got, expected[9::10])
                assert sequence.persist()
        many = CacheConfig(geometry, 64 * block_bytes, block_tokens=16, frame_layers=1)
        with SsdTier.open(tmp_path / "store", config) as ssd, TieredKVCache(many, ssd) as cache:
            model.use_cache(cache.layout)
            with cache.load(tokens[:-1]) as load:
                assert load.wait() >= 144
                n_known = load.sequence.n_tokens
                np.testing.assert_array_equal(
                    model.forward(tokens[n_known:], load.sequence), expected[-1]
                )


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("codec", ["int8", "int4", "int4-hadamard"])
def test_cold_blocks_as_stored_give_the_bits_of_decoded_ones(codec, exact, tmp_path):
    path = write_model(tmp_path, "llama", "Q4_1", quantized=True)
    settings = SsdTierConfig(64 << 20, segment_bytes=1 << 20, flush_every_s=None)

    def run(model, folder, attend_stored):
        layout = {"block_tokens": 16, "frame_layers": 1, "codec": codec}
        layout["attend_stored"] = attend_stored
        few = CacheConfig(model.kv_geometry("float16"), 4 * 4 * 4096, **layout)
        with SsdTier.open(folder, settings) as ssd, TieredKVCache(few, ssd) as cache:
            model.use_cache(cache.layout)
            with cache.sequence() as sequence:
                sequence.append(tokens, k, v)
                assert cache.drain()
                dtypes = {run.dtype for run in sequence.runs(1)}
                return dtypes, [model.forward(some, sequence) for some in (range(3), [5], [6])]

    tokens, rng = ids(150), np.random.default_rng(0)
    k, v = rng.standard_normal((2, 150, 2, 2, 32)).astype(np.float16)
    with LlamaModel.open(path, threads=1 if exact else 2, exact=exact) as model:
        dtypes, got = run(model, tmp_path / "stored", True)
        decoded, expected = run(model, tmp_path / "decoded", False)
    assert decoded < dtypes
    np.testing.assert_array_equal(got, expected)


def test_a_batch_that_fails_leaves_the_sequence_as_it_was(tmp_path, monkeypatch):
    path = write_model(tmp_path)
    with LlamaModel.open(path, threads=2) as model, cache_for(model) as cache:
        with cache.sequence() as sequence:
            expected = model.forward(TOKENS[:5], sequence)
            store, stored = sequence.store, []

            def failing(layer, k, v):
                if layer == 1 and not stored:
                    stored.append(layer)
                    raise OSError("no room")
                store(layer, k, v)

            monkeypatch.setattr(sequence, "store", failing)
            before = sequence.n_tokens
            with pytest.raises(OSError, match="no room"):
                model.forward(TOKENS[5:8], sequence)
            assert sequence.n_tokens == before
            model.forward(TOKENS[5:8], sequence)
        with cache.sequence() as sequence:
            np.testing.assert_array_equal(model.forward(TOKENS[:5], sequence), expected)
