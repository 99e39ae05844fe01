"""The grid of codecs: bytes, speed and quality in a row, the choice, the smallest good one."""

import pytest

from tests.workbench.benchmark import codec_findings
from workbench.benchmark.codecs import codec_tables
from workbench.benchmark.codecs.codec_tables import Grid


def test_bytes_speed_and_quality_stand_in_one_row():
    rows = {row["codec"]: row for row in codec_findings.grid().table.to_dicts()}
    assert list(rows) == [*codec_findings.RATIOS, "copy"]
    int8 = rows["int8"]
    assert int8["bytes/token"] == round(512 / 1.9)
    assert int8["decode, GB/s"] == pytest.approx(8)
    assert rows["copy"]["encode, GB/s"] == pytest.approx(10)
    assert int8["restore, ms"] == pytest.approx(50)
    assert int8["of none's"] == pytest.approx(0.5)
    assert int8["perplexity, %"] == pytest.approx(0.04)
    assert (rows["lossless"]["KL, nats"], rows["lossless"]["top-1"]) == (0, "100.0%")


def test_a_geometry_without_a_model_has_speed_alone():
    grid = Grid(codec_findings.speed())
    assert "KL, nats" not in grid.table.columns
    assert "restore, ms" not in grid.table.columns
    assert set(grid.metrics["metric"]) == {
        "codec_copy",
        "codec_encode",
        "codec_decode",
        "codec_ratio",
    }
    assert grid.geometry == "2x1x64"


def test_rates_count_both_threads_that_decode_and_no_codec_needs_none():
    rates = {one.name: one for one in codec_findings.grid().rates()}
    assert rates["none"].decode_gb_s == float("inf")
    assert rates["int8"].decode_gb_s == pytest.approx(16)
    assert rates["int4-hadamard"].kl == pytest.approx(0.003)


def test_the_choice_is_the_least_of_its_row_and_changes_with_the_device():
    rates = codec_findings.grid().rates()
    table = codec_tables.choice_table(rates, 1e8, 1.0, 0.006).to_dicts()
    assert table[0]["device, GB/s"] == "1 (here)"
    for row in table:
        times = {name: time for name, time in row.items() if name in codec_findings.RATIOS}
        assert min(times, key=times.get) == row["chosen"]
    assert len({row["chosen"] for row in table}) > 1
    assert len(codec_tables.choice_metrics(rates, 1e8)) == 4 * len(codec_tables.DEVICES)


@pytest.mark.parametrize(("change", "best"), [(0.004, "int4-hadamard"), (0.006, "int8")])
def test_the_smallest_that_keeps_the_perplexity(change, best):
    name, ratio = codec_tables.smallest_good(codec_findings.grid(int4_change=change))
    assert (name, ratio.median) == (best, codec_findings.RATIOS[best])


def test_quality_has_a_row_a_codec_and_way():
    quality = codec_findings.quality()
    table = codec_tables.quality_table(quality).to_dicts()
    assert [row["codec"] for row in table] == [
        "none, last bit moved",
        "int8",
        "int4-hadamard",
        "int8",
    ]
    assert table[1]["greedy same"] == 12
    assert table[3]["tokens/s"] is None
    assert len(codec_tables.quality_metrics(quality)) == 12
    notes = codec_tables.quality_notes(quality, is_exact=True)
    assert "40 tokens" in notes[0]
    assert "perplexity 21.5" in notes[0]
    assert "float32 throughout" in notes[0]


def test_a_combination_does_what_its_first_codec_does():
    quality = codec_findings.quality()
    assert codec_tables.damage_of(quality, "int8+zstd") is codec_tables.damage_of(quality, "int8")
    assert codec_tables.damage_of(quality, "int8-channel+zstd") is None
