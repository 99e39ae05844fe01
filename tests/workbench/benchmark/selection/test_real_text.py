"""Real text: stretches that do not overlap, and keys and values as the model makes them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from workbench.benchmark.selection import real_text
from workbench.datasets.text import embedded_text
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.model_file import model_file


def test_stretches_are_long_enough_and_differ():
    path = model_file("smollm2-135m")
    first, second = (real_text.token_ids(path, 300, number) for number in (0, 11))
    assert len(first) == len(second) == 300
    assert first != second
    assert real_text.token_ids(path, 100, 0) == first[:100]


def test_stretches_follow_each_other():
    parts = [real_text.stretch_text(number) for number in range(real_text.STRETCHES)]
    whole = embedded_text()
    assert whole.startswith("".join(parts))
    assert len(whole) - len("".join(parts)) < real_text.STRETCHES
    with pytest.raises(UsageError, match="stretch=-1"):
        real_text.stretch_text(-1)


def test_a_stretch_that_is_not_there_or_too_short_is_refused():
    path = model_file("smollm2-135m")
    with pytest.raises(UsageError, match="stretch=12"):
        real_text.token_ids(path, 10, 12)
    with pytest.raises(UsageError, match="shorten the context"):
        real_text.token_ids(path, 60_000, 0)


def test_values_are_those_of_the_model_and_go_back_into_a_cache(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(50), block_tokens=16)
        with cache_for(model, "float16") as cache, cache.sequence() as sequence:
            model.forward(ids(50), sequence)
            for layer in range(2):
                k, v = sequence.gather(layer, 0, 50)
                np.testing.assert_array_equal(text.k[layer], k)
                np.testing.assert_array_equal(text.v[layer], v)
        with real_text.hot_cache(model, text, 8, 4) as cache, cache.sequence() as sequence:
            sequence.append(text.token_ids, *real_text.token_major(text))
            np.testing.assert_array_equal(sequence.gather(1, 0, 50)[1], text.v[1])
            model.forward(ids(4, 1), sequence)
