"""One point of the trace replay: by hand on a loop of blocks, and monotone where it must be."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.workbench.benchmark.caching.test_trace import trace_of
from workbench.benchmark.caching.tier_simulation import Tiers
from workbench.benchmark.codecs import trace_replay
from workbench.benchmark.codecs.codec_tiers import System
from workbench.benchmark.codecs.trace_replay import MEMORY_ALONE, Budget
from workbench.errors import UsageError
from workbench.tiering import compression
from workbench.tiering.compression.choice import CodecRates
from workbench.tiering.tiered_kv_cache import BlockLayout

# Blocks of 16 tokens are half a GiB, so that a GiB is two blocks.
SYSTEM = System(bytes_per_token=1 << 25, read_gb_s=2.0, prefill_tokens_s=16.0)
# Six times round and round over twelve blocks, two a request: memory of two finds none again.
ROUND = [[start, start + 1] for start in range(0, 12, 2)]
LOOP = trace_of(*ROUND * 6)
NONE = CodecRates("none", 1.0, float("inf"), 0.0)
INT8 = CodecRates("int8", 2.0, float("inf"), 0.0)
HALF_GIB = 1 << 29


def replay(codec=NONE, trace=LOOP, **budget):
    return trace_replay.measure(
        trace, Budget(**{"ram_gib": 1, "ssd_gib": 6, **budget}), codec, SYSTEM
    )


def value(found, metric, variant="none", tier=""):
    chosen = pl.col("metric").eq(metric) & pl.col("variant").eq(variant) & pl.col("tier").eq(tier)
    return found.metrics.filter(chosen)["value"].item()


def test_a_loop_that_fits_onto_the_ssd_is_found_from_the_second_round_on():
    found = replay()
    assert value(found, "hit_rate") == pytest.approx(30 / 36)
    assert value(found, "tier_hit_rate", tier="hot") == 0
    assert value(found, "tier_hit_rate", tier="cold") == pytest.approx(30 / 36)
    assert value(found, "ssd_written") == 6  # twelve blocks, each once
    # 6 requests compute 32 tokens at 16 a second, 30 read two blocks at 2 GB/s.
    read_s = 2 * HALF_GIB / 2e9
    assert value(found, "ttft_mean") == pytest.approx((6 * 2.0 + 30 * read_s) / 36)
    assert value(found, "ttft_median") == pytest.approx(read_s)
    assert value(found, "hit_rate", MEMORY_ALONE) == value(found, "ssd_written", MEMORY_ALONE) == 0
    assert value(found, "ttft_mean", MEMORY_ALONE) == 2.0
    assert found.table["blocks on the SSD"].to_list() == [12, 0]


def test_a_codec_holds_the_loop_on_half_the_ssd_and_writes_half():
    plain, coded = replay(ssd_gib=3), replay(INT8, ssd_gib=3)
    assert coded.table["blocks on the SSD"].to_list() == [12, 0]
    assert plain.table["blocks on the SSD"].to_list() == [6, 0]
    assert value(plain, "hit_rate") == 0  # its oldest goes first, just before it is asked for
    assert value(coded, "hit_rate", "int8") == pytest.approx(30 / 36)
    assert value(coded, "ssd_written", "int8") == 3
    assert coded.ttft_s.mean() < plain.ttft_s.mean()


def test_more_ssd_never_finds_fewer_blocks_with_lru():
    rng = np.random.default_rng(7)
    trace = trace_of(*[list(range(3 * top, 3 * top + 3)) for top in rng.zipf(1.4, 300) % 40])
    rates = [
        value(replay(trace=trace, ram_gib=2, ssd_gib=gib), "hit_rate") for gib in (0, 4, 16, 64)
    ]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_without_an_ssd_it_is_memory_alone():
    found = replay(ssd_gib=0)
    assert found.ttft_s.tolist() == found.alone_s.tolist()
    assert value(found, "ssd_written") == 0


def test_the_gain_is_over_twentieths_of_the_requests():
    assert replay().gain().n_rounds == 20
    # Twelve requests are twelve rounds: six compute either way, six take 0.54 s instead of 2.
    gain = replay(trace=trace_of(*ROUND * 2)).gain()
    sooner = 2.0 / (2 * HALF_GIB / 2e9)
    assert gain.n_rounds == 12
    assert (gain.low, gain.high) == (pytest.approx(1.0), pytest.approx(sooner))
    assert gain.median == pytest.approx(sooner**0.5)


def test_few_requests_give_no_interval():
    with pytest.raises(ValueError, match="too few"):
        replay(trace=trace_of([1, 2], [1, 2])).gain()


def test_memory_for_less_than_two_blocks_is_refused():
    with pytest.raises(UsageError, match="ram_gib=1 holds 1 blocks"):
        Budget(1, 8).tiers(1 << 30)
    assert Budget(1, 8, "arc", "selective").tiers(1 << 29) == Tiers(2, 16, "arc", "selective")


@pytest.mark.parametrize("name", trace_replay.CODECS)
def test_a_codecs_ratio_does_not_depend_on_what_is_in_a_block(name):
    found = trace_replay.rates(name, 0)
    layout = BlockLayout(trace_replay.LARGER)
    codec = compression.create(name, layout)
    frame = np.zeros(layout.frame_bytes, np.uint8)
    stored = codec.encode(frame, 0, np.empty(codec.max_stored_bytes, np.uint8))
    assert found.ratio == pytest.approx(layout.frame_layers * layout.layer_bytes / stored)
    assert np.isinf(found.decode_gb_s) == (name == "none")


def test_int8_is_a_byte_a_value_and_a_scale_a_head():
    measured = trace_replay.rates("int8", 0)
    assert measured.ratio == pytest.approx(2 * 128 / (128 + 2))
    assert measured.decode_gb_s > 0


def test_a_codec_whose_blocks_differ_in_size_is_refused():
    with pytest.raises(UsageError, match="'lossless' has no ratio of its own"):
        trace_replay.rates("lossless", 0)


def test_the_notes_tell_assumptions_from_what_was_measured():
    notes = replay(INT8).notes
    assert notes[0].startswith("made up: 36 requests of 72 blocks, 12 of them different")
    assert "2.00 times smaller (measured here)" in notes[2]
    assert notes[3].startswith("assumed: 32768 KiB")
