"""The model's door: golden outputs of the fast pass, and what is refused."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.perplexity import perplexity
from workbench.tiering.mmap_gguf import GGUFError
from workbench.tiering.tiered_kv_cache import BlockLayout


@pytest.fixture(scope="module")
def real(smollm2):
    """The real model, its weights packed once for all tests of this file."""
    with LlamaModel.open(smollm2, threads=2) as model:
        yield model


def test_golden_logits_are_near_and_ranked_alike(real, golden, greedy):
    with cache_for(real, hot_bytes=64 << 20) as cache:
        for number, prompt in enumerate(greedy):
            logits = real.forward(prompt["prompt_ids"], cache.sequence())
            for name in ("hf_fp32_logits_p{}", "logits_p{}_f32_fa0"):
                expected = np.load(golden / f"{name.format(number)}.npy")
                assert logits.argmax() == expected.argmax()
                assert len(set(np.argsort(logits)[-5:]) & set(np.argsort(expected)[-5:])) >= 4
                assert abs(logits - expected).max() < 1.6  # twice llama.cpp's own distance


def test_golden_perplexity_is_within_the_spread_of_others(real, golden):
    text = np.load(golden / "text1000_ids.npy").tolist()
    with cache_for(real, hot_bytes=128 << 20, block_tokens=64) as cache:
        got = perplexity(real, cache, text, len(text))
    expected = np.load(golden / "hf_fp32_logprob_text1000.npy")
    llama_cpp = np.load(golden / "logprob_text1000_f32_fa0.npy")
    assert got.log_probabilities.shape == expected.shape == (879,)
    assert abs(got.mean_log_probability - expected.mean()) < 0.01
    assert abs(got.perplexity / np.exp(-llama_cpp.mean()) - 1) < 0.005
    assert abs(got.log_probabilities - expected).mean() < 0.06  # llama.cpp's: 0.057


def test_a_fingerprint_tells_the_ways_to_compute_apart(tmp_path):
    path = write_model(tmp_path)
    with LlamaModel.open(path, threads=1) as fast, LlamaModel.open(path, exact=True) as exact:
        assert fast.fingerprint != exact.fingerprint
        assert len(fast.fingerprint) == 32


def test_what_cannot_be_computed_is_refused_with_every_problem(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        cache = cache_for(model)
        with pytest.raises(UsageError, match="needs at least one"):
            model.forward([], cache.sequence())
        with pytest.raises(UsageError, match="513 tokens are more than the model's context of 512"):
            model.forward(ids(513), cache.sequence())
        with pytest.raises(UsageError, match="token id 40 is outside the vocabulary of 40"):
            model.forward([0, 40], cache.sequence())
        other = BlockLayout(model.kv_geometry("int8").__class__(3, 2, 32, "int8"))
        with pytest.raises(UsageError, match="the cache is made for KVGeometry"):
            model.use_cache(other)
        cache.close()


def test_a_model_that_knows_no_cache_says_so(tmp_path):
    path = write_model(tmp_path)
    with LlamaModel.open(path, threads=1) as one, LlamaModel.open(path, threads=1) as other:
        cache = cache_for(one)
        with pytest.raises(UsageError, match="call use_cache"):
            other.forward([1], cache.sequence())
        cache.close()


def test_arguments_out_of_range_are_all_named(tmp_path):
    path = write_model(tmp_path)
    with pytest.raises(UsageError) as caught:
        LlamaModel.open(path, threads=0, batch_tokens=5000)
    assert len(caught.value.problems) == 2
    with pytest.raises(UsageError, match="heads of 4 values are not computed here"):
        LlamaModel.open(write_model(tmp_path, embedding=32))


def test_no_model_file_is_a_gguf_error(tmp_path):
    (tmp_path / "no.gguf").write_bytes(b"GGUF")
    with pytest.raises(GGUFError):
        LlamaModel.open(tmp_path / "no.gguf")


@pytest.mark.parametrize("exact", [False, True])
def test_queries_are_those_of_the_layer_whose_runs_are_asked_for(exact, tmp_path):
    class Watched:
        """A sequence that attends with its own arithmetic to what the model asks of it."""

        def __init__(self, sequence, model):
            self.sequence, self.model, self.seen = sequence, model, []

        def __getattr__(self, name):
            return getattr(self.sequence, name)

        def runs(self, layer):
            self.seen.append(self.model.queries[0].copy())
            # In two runs, or the first layer's would stand for both.
            (run,) = self.sequence.runs(layer)
            yield run._replace(slots=run.slots[:1], n_tokens=16)
            yield run._replace(slots=run.slots[1:], n_tokens=run.n_tokens - 16)

    with (
        LlamaModel.open(write_model(tmp_path), threads=1, exact=exact) as model,
        cache_for(model) as cache,
        cache.sequence() as sequence,
    ):
        model.forward(ids(20), sequence)
        watched = Watched(sequence, model)
        logits = model.forward([1], watched)
        assert [one.shape for one in watched.seen] == [(8, 32)] * 2
        assert not np.array_equal(*watched.seen)
        with cache.sequence() as other:
            np.testing.assert_allclose(logits, model.forward([*ids(20), 1], other), atol=1e-4)
        # Turned by their position: the same token elsewhere has the same length, another direction.
        first = watched.seen[0]
        watched.truncate(19)
        watched.seen.clear()
        model.forward([1], watched)
        moved = watched.seen[0]
        lengths = [np.linalg.norm(one, axis=1) for one in (first, moved)]
        np.testing.assert_allclose(*lengths, rtol=1e-4)
        assert not np.allclose(first, moved, atol=1e-3)
