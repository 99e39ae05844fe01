"""Quality through a real store with a tiny model: nothing lost changes nothing, order, refusals."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.codecs import codec_quality
from workbench.benchmark.codecs.codec_quality import LAST_BIT, RESTORED, WORST, QualityPlan
from workbench.errors import UsageError

CODECS = [LAST_BIT, "lossless", "int8", "int4-hadamard"]
PLAN = QualityPlan(2, 64, 24, worst_windows=1, greedy_tokens=6, worst=tuple(CODECS[1:]))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_quality, "text_ids", lambda model, n, text: ids(n))
        return codec_quality.measure(write_model(folder), folder, PLAN, CODECS)


def by_name(found, how=RESTORED):
    return {one.name: one for one in found.damages if one.how == how}


def test_what_loses_nothing_changes_nothing(found):
    for how in (RESTORED, WORST):
        lossless = by_name(found, how)["lossless"]
        # Other batches than without a codec: float32 is rounded otherwise.
        assert np.abs(lossless.kl).max() < 1e-9
        assert lossless.perplexity_change == pytest.approx(0, abs=1e-4)
        assert lossless.interval() == pytest.approx((0, 0), abs=1e-4)
        assert lossless.same_top.all()
    assert by_name(found)["lossless"].greedy_same.tolist() == [6, 6]


def test_fewer_bits_lose_more(found):
    restored, worst = by_name(found), by_name(found, WORST)
    assert list(restored) == CODECS
    assert list(worst) == CODECS[1:]
    assert 0 < restored["int8"].kl.mean() < restored["int4-hadamard"].kl.mean()
    assert worst["int8"].kl.mean() < worst["int4-hadamard"].kl.mean()
    low, high = restored["int4-hadamard"].interval()
    assert low <= restored["int4-hadamard"].perplexity_change <= high


def test_every_scored_token_counts_and_rates_are_measured(found):
    assert {one.log_ratio.size for one in by_name(found).values()} == {48}
    assert {one.log_ratio.size for one in by_name(found, WORST).values()} == {24}
    assert all(one.decode_tokens_s > 0 for one in by_name(found).values())
    assert found.prefill_tokens_s > 0
    assert found.perplexity > 1
    assert found.k.shape == found.v.shape == (64, 2, 2, 32)
    assert found.k.dtype == np.float16


def test_prefixes_by_the_fast_pass_are_judged_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(codec_quality, "text_ids", lambda model, n, text: ids(n))
    plan = QualityPlan(1, 64, 24, 0, 0, fast_prefix=True)
    codecs = ["lossless", "int8", "int4-hadamard", "int8,int4-hadamard:1"]
    found = codec_quality.measure(write_model(tmp_path), tmp_path, plan, codecs)
    lossless, int8, int4, mixed = (one.kl.mean() for one in found.damages)
    assert lossless == 0 < int8 < mixed < int4
    assert found.damages[0].kl.size == 24


def test_prefixes_that_are_no_blocks_and_short_texts_are_refused(tmp_path, monkeypatch):
    path = write_model(tmp_path)
    with pytest.raises(UsageError, match="prefix_tokens=65 must be whole blocks of 64"):
        codec_quality.measure(path, tmp_path, QualityPlan(1, 65, 8, 0, 0), ["int8"])

    class Words:
        def encode(self, text):
            return text.split()

    monkeypatch.setattr(codec_quality, "read_tokenizer", lambda header: Words())
    assert codec_quality.text_ids(path, 2, "one two three") == ["one", "two"]
    assert len(codec_quality.text_ids(path, 20)) == 20
    with pytest.raises(UsageError, match="the text has 3 tokens, 4 are needed"):
        codec_quality.text_ids(path, 4, "one two three")


def test_the_last_bit_moves_half_of_the_values_by_one_step():
    k = np.random.default_rng(0).standard_normal((8, 2, 2, 32)).astype(np.float16)
    moved, _ = codec_quality._last_bits_moved(k, k)
    steps = np.abs(moved.view(np.int16).astype(int) - k.view(np.int16))
    assert steps.max() == 1
    assert 0.4 < steps.mean() < 0.6
