"""The 70B projection: arithmetic by hand over made-up timings."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.inference import large_projection
from workbench.benchmark.inference.large_layers import LayersShape
from workbench.benchmark.inference.large_model import READ, RESIDENT, LargeModel, LargePlan
from workbench.benchmark.inference.large_projection import LAYER_BYTES, OUTPUT_BYTES, WEIGHT_BYTES
from workbench.benchmark.paired import Samples

WORK = 3.0 * LAYER_BYTES


def found(layer_s: float = 0.05, streamed_layer_s: float = 0.5) -> LargeModel:
    """Return timings where memory reads twice as fast as the products."""
    seconds = {RESIDENT: np.full(10, 3 * layer_s), READ: np.full(10, 1.5 * layer_s)}
    samples = Samples(seconds, dict.fromkeys(seconds, WORK))
    plan = LargePlan(1, 3, 1000, 10, 3)
    return LargeModel(
        plan, 2, LayersShape(3, 1).layer_bytes, samples, np.full(3, 3 * streamed_layer_s), True
    )


def test_a_token_is_eighty_layers_and_the_output_matrix():
    one = found()
    output_s = OUTPUT_BYTES / (LAYER_BYTES / 0.05)
    assert large_projection.token_ms(one, 0) == pytest.approx(1e3 * (80 * 0.05 + output_s))
    assert large_projection.token_ms(one, 80) == pytest.approx(1e3 * 80 * 0.5)
    # Few layers stream while all are computed: the products decide.
    assert large_projection.token_ms(one, 5) == large_projection.token_ms(one, 0)


@pytest.mark.parametrize(
    ("ram_gb", "cases"),
    [
        (128, ["all in memory", "all layers from the SSD"]),
        (24, ["all in memory", "as fits here: 35 layers stay", "all layers from the SSD"]),
        (1, ["all in memory", "all layers from the SSD"]),
    ],
)
def test_what_fits_here_is_a_row_of_its_own(ram_gb, cases):
    table = large_projection.projection(found(), int(ram_gb * 1e9))
    assert table["weights"].to_list() == cases
    assert table["fits here"][0] == ("yes" if ram_gb > 50 else "no")
    assert table["ms a token"].is_sorted()
    assert table["memory needed GB"].is_sorted(descending=True)


def test_the_bandwidth_needed_is_bytes_over_time_and_what_is_reached_of_it():
    table = large_projection.machines(found())
    n_bytes = WEIGHT_BYTES + 1000 * large_projection.KV_TOKEN_BYTES
    assert table["memory GB/s"][0] == pytest.approx(n_bytes / 0.1 / 0.5 / 1e9)
    assert table["memory GB/s"][1] == pytest.approx(2 * table["memory GB/s"][0])
    meets = dict(zip(table["machine"], table["meets"], strict=True))
    assert meets["desktop, DDR5-5600"] == "neither"
    assert meets["one accelerator, HBM3, 80 GB"] == "50 ms"
    assert meets["this machine"] == "neither"


def test_a_machine_too_small_does_not_fit(monkeypatch):
    small = large_projection.Memory("fast and small", 5000, 16, "made up")
    monkeypatch.setattr(large_projection, "MACHINES", (small,))
    assert large_projection.machines(found())["meets"][-1] == "does not fit"


def test_assumptions_and_summary_name_what_was_measured():
    table = large_projection.assumptions(found())
    values = dict(zip(table["assumption"], table["value"], strict=True))
    assert values["layers"] == "80 alike; 3 timed"
    assert values["what was timed"] == "whole layers"
    assert values["products"].startswith("9.6 GB/s, 0.50 of reading memory (19.3)")
    said = large_projection.summary(found())
    assert "40.0 s from the SSD" in said
    assert "an SSD of 385 GB/s" in said
