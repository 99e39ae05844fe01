import json
from pathlib import Path

from workbench.benchmark.bars import Row
from workbench.report.bench_rows import read_benches

_ROW = {
    "bench": "memory_ceiling",
    "case": "copy",
    "ratio": 0.97,
    "low": 0.95,
    "high": 0.98,
    "bar": ">= 0.9x",
    "met": True,
    "ceiling": 12.4,
    "unit": "GB/s",
    "machine_id": "m1",
}


def _write(folder: Path, *rows: object) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "memory_ceiling.jsonl").write_text("\n".join(lines) + "\n")


def test_the_latest_row_of_a_case_and_machine_counts(tmp_path: Path) -> None:
    other = {**_ROW, "machine_id": "m2", "ratio": 0.5}
    _write(tmp_path, {**_ROW, "ratio": 0.1}, other, _ROW)
    table = read_benches(tmp_path)
    assert [(row.machine_id, row.ratio) for row in table.rows] == [("m1", 0.97), ("m2", 0.5)]
    assert table.problems == ()


def test_a_row_is_read_as_the_benchmarks_write_it(tmp_path: Path) -> None:
    assert set(Row.__dataclass_fields__) == set(_ROW)
    _write(tmp_path, _ROW)
    (row,) = read_benches(tmp_path).rows
    assert row.model_dump() == _ROW
    assert (row.bar_text, row.interval) == ("≥ 0.9×", "0.95× to 0.98×")


def test_met_missed_and_informational_are_told_apart(tmp_path: Path) -> None:
    cases = [{"case": "a"}, {"case": "b", "met": False}, {"case": "c", "met": None, "bar": None}]
    _write(tmp_path, *({**_ROW, **case} for case in cases))
    shown = [row.status.text if row.status else None for row in read_benches(tmp_path).rows]
    assert shown == ["met", "missed", None]
    assert read_benches(tmp_path).rows[2].bar_text == "–"


def test_a_broken_line_is_named_and_hides_no_other(tmp_path: Path) -> None:
    _write(tmp_path, '{"bench": ', _ROW, "")
    table = read_benches(tmp_path)
    assert len(table.rows) == 1
    assert table.problems[0].startswith("memory_ceiling.jsonl line 1")


def test_no_folder_is_no_rows(tmp_path: Path) -> None:
    assert read_benches(tmp_path / "nowhere").rows == ()
