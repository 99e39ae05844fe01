"""Hits and time to the first token by codec: by hand on a loop of blocks."""

import polars as pl
import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching.tier_simulation import Tiers
from workbench.benchmark.codecs import codec_tiers
from workbench.benchmark.codecs.codec_tiers import System
from workbench.tiering.compression.choice import CodecRates

# Round and round over twelve blocks: the SSD's oldest go first, so ten hold none long enough.
TRACE = trace_of(*[[start, start + 1] for start in range(0, 12, 2)] * 6)
CODECS = [CodecRates("none", 1.0, float("inf"), 0.0), CodecRates("int8", 2.0, 100.0, 0.0)]
SYSTEM = System(bytes_per_token=1000, read_gb_s=0.001, prefill_tokens_s=16.0)


@pytest.fixture(scope="module")
def found():
    return codec_tiers.measure(TRACE, Tiers(2, 10), CODECS, SYSTEM)


def value(found, metric, codec):
    rows = found.metrics.filter(pl.col("metric") == metric, pl.col("variant") == codec)
    return rows["value"].item()


def test_twice_as_many_blocks_on_the_ssd_hit(found):
    assert value(found, "codec_hit_rate", "int8") > value(found, "codec_hit_rate", "none")
    assert found.table["blocks on the SSD"].to_list() == [10, 20]


def test_the_first_token_waits_for_reads_and_for_what_is_computed(found):
    # Every block is found from the second round on: 30 of 36 requests read 2 blocks of 16 tokens,
    # stored in half of 16,000 bytes each, at a MB a second; 6 compute 32 tokens at 16 a second.
    expected = (30 * 32_000 / 2 / 1e6 + 6 * 2.0) / 36
    assert value(found, "codec_hit_rate", "int8") == pytest.approx(30 / 36)
    assert value(found, "codec_ttft", "int8") == pytest.approx(expected, rel=0.01)


def test_the_notes_say_what_was_assumed(found):
    assert "36 requests" in found.notes[0]
    assert "16 tokens/s" in found.notes[1]
