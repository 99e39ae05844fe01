"""Streamed weights beside all in memory and reading alone: the ceiling, and what is passed."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import weights_streaming
from workbench.benchmark.inference.weights_streaming import (
    CEILING,
    DECODE,
    PREFILL,
    READ,
    RESIDENT,
    STREAMED,
    StreamingPlan,
)
from workbench.errors import UsageError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("streaming"), kind="Q4_1", quantized=True, layers=10)


def test_the_ceiling_is_the_slower_of_computing_and_reading(path):
    found = weights_streaming.measure(path, StreamingPlan(0.7, 2, 20, 10, 1))
    assert found.threads == 1
    assert found.weights.passing_layers > 3
    assert found.weights.budget_bytes == int(found.weights.total_bytes * 0.7)
    for name, work in ((DECODE, 2), (PREFILL, 20)):
        samples = found.samples[name]
        assert set(samples.seconds) == {RESIDENT, STREAMED, READ, CEILING}
        slower = np.maximum(samples.seconds[RESIDENT], samples.seconds[READ])
        np.testing.assert_array_equal(samples.seconds[CEILING], slower)
        assert set(samples.work.values()) == {work}
        assert (samples.seconds[STREAMED] > 0).all()


def test_less_memory_lets_more_layers_pass_and_reads_more(path):
    found = weights_streaming.by_budget(path, (1.0, 0.8, 0.65), 3)
    table = found.table
    assert table["layers that pass"].to_list()[0] == 0
    assert table["layers that pass"].is_sorted()
    assert table["MB read a token"].to_list()[0] == 0
    assert table["MB read a token"].is_sorted()
    assert table["MiB in memory"].is_sorted(descending=True)
    assert len(found.metrics) == 3 * 3
    assert set(found.metrics["case"]) == {"budget=1.00", "budget=0.80", "budget=0.65"}


def test_too_small_a_budget_is_refused(path):
    with pytest.raises(UsageError, match="too small for this model"):
        weights_streaming.by_budget(path, (0.01,), 1)
