"""Compression's benchmarks: what is held against what, and when a bar is met."""

import numpy as np
import pytest

from tests.workbench.benchmark import codec_findings
from workbench.benchmark import bars
from workbench.benchmark.codecs import codec_bars, codec_quality, codec_rates, codec_restore
from workbench.benchmark.codecs.codec_restore import KEPT_INT8, CodecRestore
from workbench.benchmark.findings import PRESETS
from workbench.benchmark.kv.prefix_restore import GEOMETRY
from workbench.benchmark.paired import Samples


def run(name):
    return bars.BENCHMARKS[name].run("tiny")


def restored(**ms):
    names = {"none": 10.0, "lossless": 12.0} | {name.replace("_", "-"): t for name, t in ms.items()}
    seconds = {name: np.full(10, t / 1e3) for name, t in names.items()}
    return CodecRestore(Samples(seconds, dict.fromkeys(seconds, 1e8)), dict.fromkeys(seconds, 1))


@pytest.mark.parametrize(("ms", "met"), [(5.9, True), (6.1, False)])
def test_int8s_restore_is_held_against_float16s(monkeypatch, ms, met):
    found = restored(int8=ms, int8_channel=7.0, int4_hadamard=8.0, **{KEPT_INT8: ms})
    monkeypatch.setattr(codec_restore, "measure", lambda *given: found)
    rows = run("codec_restore")
    assert [row.met for row in rows] == [met, met, None, None]
    assert rows[0].bar == "median >= 1.67x"
    assert rows[0].ratio == pytest.approx(10 / ms, rel=1e-3)
    assert rows[0].ceiling == pytest.approx(0.01)
    assert rows[0].value == pytest.approx(ms / 1e3, rel=1e-3)


def test_int8s_speed_is_held_against_a_copy_at_the_seed_geometry(monkeypatch):
    monkeypatch.setattr(codec_rates, "random_frames", lambda layout, n, seed: n)
    monkeypatch.setattr(codec_rates, "measure", lambda *given: codec_findings.speed())
    rows = run("codec_speed")
    assert [row.case for row in rows] == [
        f"geometry={geometry} {step} int8"
        for geometry in ("32x32x128", "30x3x64")
        for step in ("encode", "decode")
    ]
    assert [row.met for row in rows] == [True, True, None, None]
    assert rows[0].value == pytest.approx(8)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, set()),
        ({"int4_kl": 0.0061}, {"codec=int4-hadamard prefix restored KL, nats"}),
        ({"int4_same": 0.95}, {"codec=int4-hadamard prefix restored top-1 agreement"}),
    ],
)
def test_quality_is_judged_where_a_prefix_was_restored(monkeypatch, changes, missed):
    shape = (64, GEOMETRY.layers, GEOMETRY.kv_heads, GEOMETRY.head_dim)
    quality = codec_findings.quality(**changes)
    side = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    real = type(quality)(quality.damages, side, side, 20.0, 100.0)
    monkeypatch.setattr(codec_quality, "measure", lambda *given: real)
    monkeypatch.setattr(codec_rates, "measure", lambda *given: codec_findings.speed())
    monkeypatch.setattr(codec_restore, "measure", lambda *given: restored())
    rows = {row.case: row for row in run("codec_quality")}
    assert {case for case, row in rows.items() if row.met is False} - {
        "codec=lossless decoding, bit for bit, on two threads over loads from this disk"
    } == missed
    assert rows["codec=int8 times smaller"].met
    assert rows["codec=lossless times smaller"].met
    assert rows["codec=int8 prefix restored perplexity change"].met
    assert rows["codec=int8 every block coded KL, nats"].met is None
    # Two threads at 1 GB/s, loads at 10.
    (lossless,) = [row for case, row in rows.items() if "lossless decoding" in case]
    assert lossless.ratio == pytest.approx(0.2)


def test_every_preset_is_measured():
    for sizes in (codec_bars._QUALITIES, codec_bars._SPEEDS, codec_bars._RESTORES):
        assert set(sizes) == set(PRESETS)
