"""Weights larger than their budget: the same bits, never more memory, errors that pass."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.tiering.mmap_gguf import GGUFError
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

TOKENS = ids(40)
LAYERS = 9


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("budget")
    return write_model(folder, "qwen2", "Q4_1", quantized=True, layers=LAYERS)


@pytest.fixture(scope="module")
def expected(path):
    with LlamaModel.open(path, threads=1) as model, cache_for(model) as cache:
        return decoded(model, cache)


@pytest.fixture(scope="module")
def budgets(path):
    """Return a budget for every number of layers that may pass, the least last."""
    with LlamaModel.open(path, threads=1) as model:
        found, budget = [], model.weights_bytes
        try:
            while True:
                model.set_weights_budget(budget)
                found.append(model.weights.resident_bytes)
                budget = found[-1] - 1
        except UsageError:
            return found


def decoded(model, cache):
    """Return the logits of a prompt in batches and of tokens one by one."""
    with cache.sequence() as sequence:
        rows = [model.forward(TOKENS[:30], sequence)]
        rows += [model.forward([token], sequence) for token in TOKENS[30:]]
    return np.array(rows)


@pytest.mark.parametrize("threads", [1, 3])
def test_no_budget_changes_a_bit(path, expected, budgets, threads):
    assert len(budgets) > 3
    for budget in budgets:
        options = {"threads": threads, "batch_tokens": 7, "weights_budget_bytes": budget}
        with LlamaModel.open(path, **options) as model, cache_for(model) as cache:
            np.testing.assert_array_equal(decoded(model, cache), expected)
            stats = model.weights
            assert stats.resident_bytes <= budget == model.weights_budget_bytes
            assert (stats.read_bytes > 0) == (stats.passing_layers > 0)


@pytest.mark.parametrize("kind", ["Q5_1", "Q8_0", "F16", "F32"])
def test_every_layout_passes(kind, tmp_path):
    path = write_model(tmp_path, kind=kind, quantized=kind != "F32", layers=6, feed_forward=288)
    outcomes = []
    for budget in (None, 0):
        with LlamaModel.open(path, threads=2) as model, cache_for(model) as cache:
            if budget is not None:
                model.set_weights_budget(least(model))
                assert model.weights.passing_layers == 6
            outcomes.append(decoded(model, cache))
    np.testing.assert_array_equal(*outcomes)


def least(model):
    """Return the least budget, as the refusal of any smaller one names it."""
    with pytest.raises(UsageError, match="too small for this model") as refused:
        model.set_weights_budget(1)
    number = str(refused.value).split("at least ")[1].split(" bytes")[0]
    return int(number.replace(",", ""))


def test_too_small_a_budget_is_refused_with_the_least(path, budgets):
    with pytest.raises(UsageError, match=rf"give at least {budgets[-1]:,} bytes") as refused:
        LlamaModel.open(path, weights_budget_bytes=1000)
    assert "weights_budget of 0.0 MiB" in str(refused.value)
    with pytest.raises(UsageError, match="weights_budget_bytes=5 is nothing to the exact pass"):
        LlamaModel.open(path, exact=True, weights_budget_bytes=5)
    with LlamaModel.open(path, exact=True) as model:
        assert model.weights.total_bytes == 0
        with pytest.raises(UsageError, match="exact pass"):
            model.set_weights_budget(5)


def test_budgets_move_between_passes(path, expected, budgets):
    with LlamaModel.open(path, threads=2) as model, cache_for(model) as cache:
        passing = set()
        for budget in (budgets[-1], budgets[0], budgets[1], budgets[-2], 10 * budgets[0]):
            model.set_weights_budget(budget)
            np.testing.assert_array_equal(decoded(model, cache), expected)
            passing.add(model.weights.passing_layers)
            assert model.weights.resident_bytes <= model.weights_budget_bytes == budget
        assert len(passing) > 3
        before = model.weights
        with pytest.raises(UsageError, match="too small"):
            model.set_weights_budget(budgets[-1] - 1)
        assert model.weights == before
        assert model.weights_read_bytes > model.weights_bytes
        assert model.weights_wait_s > 0


def test_a_session_resumes_under_another_budget(path, budgets, tmp_path):
    tokens = ids(120)
    config = SsdTierConfig(64 << 20, segment_bytes=1 << 20, flush_every_s=None)
    results = []
    for budget in (None, budgets[-1]):
        with (
            LlamaModel.open(path, threads=2, weights_budget_bytes=budget) as model,
            SsdTier.open(tmp_path / "store", config) as ssd,
            TieredKVCache(
                CacheConfig(model.kv_geometry("float16"), 4 << 20, block_tokens=16), ssd
            ) as cache,
        ):
            model.use_cache(cache.layout)
            with cache.load(tokens[:-1]) as load:
                assert (load.wait() >= 112) == (budget is not None)
                sequence = load.sequence
                results.append(model.forward(tokens[sequence.n_tokens :], sequence))
                assert sequence.persist()
    np.testing.assert_array_equal(*results)


def test_a_pass_that_fails_elsewhere_leaves_the_stream_in_step(path, expected, budgets):
    with (
        LlamaModel.open(path, threads=2, weights_budget_bytes=budgets[-1]) as model,
        cache_for(model) as cache,
    ):
        with cache.sequence() as sequence, pytest.MonkeyPatch.context() as patch:
            store = sequence.store

            def failing(layer, k, v):
                if layer == 5:
                    raise OSError("no room")
                store(layer, k, v)

            patch.setattr(sequence, "store", failing)
            with pytest.raises(OSError, match="no room"):
                model.forward(TOKENS[:3], sequence)
        np.testing.assert_array_equal(decoded(model, cache), expected)


def test_a_file_that_changes_is_a_typed_error_and_does_no_lasting_harm(budgets, expected, tmp_path):
    path = write_model(tmp_path, "qwen2", "Q4_1", quantized=True, layers=LAYERS)
    with (
        LlamaModel.open(path, threads=2, weights_budget_bytes=budgets[-1]) as model,
        cache_for(model) as cache,
    ):
        sequence = cache.sequence()
        model.forward(TOKENS[:20], sequence)
        whole, times = path.stat().st_size, path.stat()
        os.truncate(path, whole // 2)
        kept = path.read_bytes()
        for _ in range(2):
            with pytest.raises(GGUFError, match=r"had \d+ bytes when it was opened"):
                model.forward(TOKENS[20:30], sequence)
            assert sequence.n_tokens == 20
        with pytest.raises(GGUFError):
            model.set_weights_budget(budgets[0])
        assert model.weights_budget_bytes == budgets[-1]
        # The same bytes and times again: nothing tells it from the file that was opened.
        intact = write_model(tmp_path, "qwen2", "Q4_1", quantized=True, layers=LAYERS)
        assert intact == path
        assert path.read_bytes()[: len(kept)] == kept
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        np.testing.assert_array_equal(decoded(model, cache), expected)
        sequence.close()


def test_closing_while_layers_are_read_is_safe(path, budgets):
    before = threading.active_count()
    for _ in range(5):
        model = LlamaModel.open(path, threads=2, weights_budget_bytes=budgets[-1])
        with cache_for(model) as cache, cache.sequence() as sequence:
            model.prefill(TOKENS[:2], sequence)
            model.close()
            model.close()
            with pytest.raises(GGUFError, match="closed"):
                model.forward(TOKENS[:2], sequence)
    assert threading.active_count() <= before


_RSS = """
import sys
from pathlib import Path
from tests.workbench.inference.tiny_models import cache_for
from workbench.inference.llama import LlamaModel

def rss():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10

def passes(path, budget, change=None):
    with LlamaModel.open(Path(path), threads=2, batch_tokens=16, weights_budget_bytes=budget) as m:
        with cache_for(m) as cache, cache.sequence() as sequence:
            most = 0
            for step in range(12):
                if step == 6 and change:
                    m.set_weights_budget(change)
                m.forward([step], sequence)
                most = max(most, rss()) if step > 6 or not change else most
            return most

small, large, budget = sys.argv[1], sys.argv[2], int(sys.argv[3])
passes(small, int(sys.argv[4]))
before = rss()
print(passes(large, budget) - before, passes(large, None, budget) - before,
      passes(large, None) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_the_process_takes_no_more_than_the_budget(path, budgets, tmp_path):
    large = write_model(tmp_path, kind="Q8_0", layers=16, feed_forward=8192, embedding=512)
    with LlamaModel.open(large, threads=1) as model:
        total = model.weights_bytes
        model.set_weights_budget(total * 2 // 5)
        assert model.weights.passing_layers > 8
    command = [sys.executable, "-c", _RSS, path, large, total * 2 // 5, budgets[-1]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    from_start, lowered, whole = map(int, done.stdout.split())
    margin = total // 4  # activations, the cache, what the allocator keeps
    assert from_start < total * 2 // 5 + margin
    assert lowered < total * 2 // 5 + margin
    assert whole > total * 9 // 10
