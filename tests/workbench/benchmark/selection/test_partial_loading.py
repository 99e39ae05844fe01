"""Partial loading: bytes that were really read, exact ends, and what the tables and notes say."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.selection import partial_loading, ways
from workbench.benchmark.selection.cold_text import ColdLayout
from workbench.benchmark.selection.ways import (
    BY_NEED,
    EVERYTHING,
    QUEST,
    RECENT,
    RULES,
    SKETCH,
    TRUE_MASS,
    Way,
)
from workbench.inference.llama import LlamaModel

# Eight frames of staging memory, the least: no token finds what an earlier one read.
LAYOUT = ColdLayout(16, 1, recent_tokens=32, staging_bytes=1)
WIDE = ColdLayout(16, 2, recent_tokens=32, staging_bytes=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory, disk_root):
    all_ways = ways.ways((0.3,), layout=LAYOUT)
    all_ways += [Way(RECENT, 1.0, LAYOUT), Way(EVERYTHING, 1.0, WIDE), Way(SKETCH, 0.3, WIDE, True)]
    texts = [(ids(448), ids(6, 1)), (ids(448, 2), ids(6, 3))]
    path = write_model(tmp_path_factory.mktemp("model"))
    with (
        LlamaModel.open(path, threads=1) as model,
        tempfile.TemporaryDirectory(dir=disk_root, prefix=".test-") as store,
    ):
        yield partial_loading.measure(model, Path(store), texts, all_ways, [1.0, 3.0])


def test_no_rule_reads_more_than_its_share(found):
    for way, one in found.outcomes.items():
        if way.layout == LAYOUT and way.frac < 1:
            assert 0.2 < one.read_frac <= way.frac, way
            assert one.kl > 0
            assert len(one.token_s) == 12
            assert (one.token_s > 0).all()


def test_reading_everything_is_the_end_of_the_curve(found):
    everything = found.outcomes[Way(EVERYTHING, 1.0, LAYOUT)]
    assert (everything.kl, everything.read_frac, everything.top1) == (0, 1, 1)
    assert everything.summary_bytes == 0
    # A rule that may read everything does, and its answers are the same bits.
    whole = found.outcomes[Way(RECENT, 1.0, LAYOUT)]
    assert whole.kl == 0
    # Less what is read ahead for the next layer.
    assert whole.read_frac == pytest.approx(1, abs=0.02)


def test_another_layout_is_held_against_its_own_whole_read(found):
    whole = found.outcomes[Way(EVERYTHING, 1.0, WIDE)]
    assert whole.kl < 1e-6
    assert whole.read_frac == 1
    assert whole.read_bytes != whole.exact_bytes
    shared = found.outcomes[Way(SKETCH, 0.3, WIDE, True)]
    assert shared.read_frac <= 0.3


def test_only_what_goes_by_summaries_needs_memory_for_them(found):
    needs = {way.rule: one.summary_bytes > 0 for way, one in found.outcomes.items() if way.frac < 1}
    assert needs == {RECENT: False, QUEST: True, SKETCH: True, BY_NEED: True, TRUE_MASS: False}


def test_rows_table_and_notes_name_every_way(found):
    assert len(found.table) == len(found.outcomes)
    assert set(found.metrics["variant"]) == {*RULES, EVERYTHING, "sketch_once_per_frame"}
    kl = found.metrics.filter(found.metrics["metric"] == "kl")
    assert len(kl) == 12 * len(found.outcomes)
    assert found.judged[0] == Way(BY_NEED, 0.3, LAYOUT)
    assert "12 tokens behind 448 each" in found.notes[0]
