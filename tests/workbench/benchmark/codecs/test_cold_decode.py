"""Decoding behind a cold prefix of a tiny model: both ways agree, and one reads nothing again."""

import numpy as np
import pytest

from tests.workbench.benchmark import codec_findings
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark import metrics
from workbench.benchmark.codecs import cold_decode
from workbench.benchmark.codecs.codec_quality import Quality
from workbench.benchmark.codecs.cold_decode import ATTENDED, DECODED, STORED, ColdDecodePlan
from workbench.benchmark.scratch_files import MediumError
from workbench.tiering import compression
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout, TieredKVCache

# Seven blocks in frames of 32 KiB; decoded, five cold ones do not fit.
PLAN = ColdDecodePlan(448, 4 * (32 << 10), 10)
DAMAGES = codec_findings.quality().damages


def quality():
    k, v = np.random.default_rng(0).standard_normal((2, 100, 2, 2, 32)).astype(np.float16)
    return Quality(DAMAGES, k, v, 20.0, 100.0)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cold")
    model = write_model(folder)
    return cold_decode.measure(model, folder, quality(), PLAN, ["int4", "int4-hadamard"])


def test_every_codec_has_both_ways_beside_float16(found):
    assert found.ways == (
        ("none", DECODED),
        ("int4", DECODED),
        ("int4", STORED),
        ("int4-hadamard", DECODED),
        ("int4-hadamard", STORED),
    )
    assert {one.size for one in found.samples.seconds.values()} == {10}


def test_what_is_attended_as_stored_is_not_read_again(found):
    read = found.read_bytes
    assert read["none decoded"] > read["int4 decoded"] > 0
    assert read["int4 as stored"] == read["int4-hadamard as stored"] == 0


def test_time_bytes_and_quality_stand_in_one_row(found):
    rows = found.table(quality()).to_dicts()
    assert [(row["codec"], row["cold blocks attended"]) for row in rows] == list(found.ways)
    assert [row["as fast as decoded"] is None for row in rows] == [True, True, False, True, False]
    last = rows[-1]
    assert last["ms a token"] > 0
    assert last["MB read a token"] == 0
    assert last["KL, nats"] == pytest.approx(0.003)
    assert [row["KL, nats"] for row in rows[:2]] == [0, None]


def test_rows_say_codec_and_way(found):
    rows = metrics.conform(found.metrics)
    assert set(rows["metric"]) == {cold_decode.METRIC, cold_decode.READ_METRIC}
    assert rows.filter(case="codec=int4", variant=STORED, metric=cold_decode.METRIC).height == 10


def test_the_codecs_named_are_those_that_can_be_attended():
    layout = BlockLayout(KVGeometry(2, 2, 64, "float16"))
    able = [name for name in compression.CODECS if _is_able(name, layout)]
    assert tuple(able) == ATTENDED


def _is_able(name, layout):
    return compression.create(name, layout).stored_form() is not None


def test_other_tokens_stop_the_benchmark(tmp_path, monkeypatch):
    real = cold_decode._Decoder.run

    def rot(decoder):
        seconds = real(decoder)
        decoder.token_ids.append(id(decoder))
        decoder.token_ids.append(0)
        return seconds

    monkeypatch.setattr(cold_decode._Decoder, "run", rot)
    with pytest.raises(MediumError, match="gave other tokens"):
        cold_decode.measure(write_model(tmp_path), tmp_path, quality(), PLAN, ["int4"])


def test_a_prefix_that_cannot_be_written_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(TieredKVCache, "drain", lambda cache: False)
    with pytest.raises(MediumError, match="could not be written"):
        cold_decode.measure(write_model(tmp_path), tmp_path, quality(), PLAN, [])
