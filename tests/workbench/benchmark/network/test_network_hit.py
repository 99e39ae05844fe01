"""Hits and computing are timed in turns; break-evens follow from medians and bytes."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.network import network_hit
from workbench.benchmark.network.network_hit import COMPUTED, HIT, HitPlan, NetworkHits
from workbench.benchmark.paired import Samples
from workbench.benchmark.scratch_files import MediumError
from workbench.inference.model_file import model_file


def hits(times, bytes_per_token=1000):
    """Return hits of the given (seconds of a hit, of computing) by length."""
    samples = {
        n_tokens: Samples(
            {HIT: np.full(10, hit_s), COMPUTED: np.full(10, computed_s)},
            {HIT: 1.0, COMPUTED: 1.0},
        )
        for n_tokens, (hit_s, computed_s) in times.items()
    }
    return NetworkHits(samples, bytes_per_token)


def test_the_real_model_answers_alike_both_ways(disk_folder):
    found = network_hit.measure(model_file("smollm2-135m"), disk_folder, HitPlan((64,), 2, 2))
    assert set(found.samples) == {64}
    assert all(len(seconds) == 2 for seconds in found.samples[64].seconds.values())
    assert found.bytes_per_token == 30 * 3 * 64 * 2 * 2
    assert found.metrics.height == 4
    assert set(found.metrics["unit"]) == {"s"}
    assert list(disk_folder.iterdir()) == []


def test_a_prefix_that_does_not_come_is_not_timed(disk_folder, monkeypatch):
    # Nothing is shared: what should be hits are misses.
    monkeypatch.setattr(network_hit._Asking, "share", lambda asking, network: None)
    monkeypatch.setattr(
        network_hit._Asking, "ask", lambda asking, network: network_hit.Answer(1.0, 0, 0, (), "")
    )
    with pytest.raises(MediumError, match="0 of 64 tokens"):
        network_hit.measure(model_file("smollm2-135m"), disk_folder, HitPlan((64,), 2, 2))


def test_another_answer_is_an_error(monkeypatch):
    asking = network_hit._Asking(None, None, [1] * 65, 1)
    monkeypatch.setattr(asking, "ask", lambda network: network_hit.Answer(1.0, 64, 1, (), "other"))
    with pytest.raises(MediumError, match="another answer"):
        asking.timed(None)()


def test_break_even_is_where_both_take_equally_long():
    found = hits({64: (0.02, 0.01), 128: (0.03, 0.05), 256: (0.05, 0.1)})
    assert found.break_even_tokens() == 128
    # 256,000 bytes are 2.048 Mbit, and 50 ms are to be gained.
    assert found.break_even_mbit_s(256) == pytest.approx(2.048 / 0.05)
    assert found.break_even_mbit_s(64) is None
    link = found.break_even_mbit_s(256)
    assert found.over_link_s(256, link) == pytest.approx(0.1)
    assert found.break_even_tokens(0.99 * link) is None
    assert found.ratio(256).median == pytest.approx(2)


def test_notes_name_what_was_found():
    everywhere = hits({64: (0.01, 0.1), 128: (0.01, 0.1)})
    said = network_hit.break_even_notes(everywhere, 10**6)
    assert (
        said[0] == "over loopback a hit is sooner from 64 tokens on, the shortest prefix measured"
    )
    never = network_hit.break_even_notes(hits({64: (0.1, 0.01)}), 1000)
    assert "no break-even" in never[0]
    later = network_hit.break_even_notes(hits({64: (0.1, 0.01), 128: (0.1, 0.2)}), 1000)
    assert later[0].endswith("from 128 tokens on")


def test_the_table_has_a_line_a_length():
    table = hits({64: (0.01, 0.1), 128: (0.01, 0.1)}).table(1000)
    assert table["prefix, tokens"].to_list() == [64, 128]
    assert table["over 1,000 Mbit/s, ms (calculated)"][0] == pytest.approx(10.512)
