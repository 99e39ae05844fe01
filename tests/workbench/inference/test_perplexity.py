"""Perplexity: by hand, over windows, and refusals."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, reference, write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.perplexity import Perplexity, log_probabilities, perplexity


def test_log_probabilities_by_hand():
    logits = np.log(np.array([[1, 3], [2, 2]], np.float32))
    got = log_probabilities(logits + np.float32(1000), np.array([1, 0]))
    np.testing.assert_allclose(np.exp(got), [0.75, 0.5], rtol=1e-4)
    assert Perplexity(np.log([0.5, 0.125])).perplexity == pytest.approx(4.0)


@pytest.mark.parametrize("window", [40, 16])
def test_windows_begin_anew_and_their_first_tokens_are_given(window, tmp_path):
    path, tokens = write_model(tmp_path), ids(40)
    expected = []
    for start in range(0, 40, window):
        part = tokens[start : start + window]
        logits = reference(path).logits(part)[:-1]
        odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected += [float(np.log(row[one])) for row, one in zip(odds, part[1:], strict=True)]
    with LlamaModel.open(path, threads=1) as model, cache_for(model) as cache:
        got = perplexity(model, cache, tokens, window)
    np.testing.assert_allclose(got.log_probabilities, expected, atol=1e-4)
    assert got.mean_log_probability == pytest.approx(np.mean(expected), abs=1e-5)


def test_too_little_text_or_window_is_refused(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model, cache_for(model) as cache:
        with pytest.raises(UsageError, match="1 tokens in windows of 16"):
            perplexity(model, cache, [1], 16)
        with pytest.raises(UsageError, match="a window of 2 to 512"):
            perplexity(model, cache, ids(5), 1)
