"""metrics.parquet: one schema whatever comes in, and a file that explains itself."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.benchmark import metrics
from workbench.runs import metrics_file

ROWS = metrics.rows("storage_read", "GB/s", [1.5, 2.5], tier="device", case="block_kib=4")


def test_rows_come_back_as_they_went(tmp_path):
    path = tmp_path / "metrics.parquet"
    metrics_file.write(path, ROWS, "20260101T000000Z-aaaaaa")
    assert metrics_file.read(path).equals(ROWS)


@pytest.mark.parametrize(
    "odd",
    [
        ROWS.with_columns(pl.col("value").cast(pl.Float32), extra=pl.lit(1)),
        ROWS.drop("variant").with_columns(pl.col("repeat").cast(pl.Int64)),
        metrics.empty(),
    ],
)
def test_any_frame_is_written_in_the_declared_schema(tmp_path, odd):
    path = tmp_path / "metrics.parquet"
    metrics_file.write(path, odd, "x")
    assert pl.read_parquet(path).schema == pl.Schema(metrics.SCHEMA)


def test_files_of_other_versions_are_read_in_todays_schema(tmp_path):
    path = tmp_path / "metrics.parquet"
    ROWS.drop("tier").with_columns(energy=pl.lit(2.0)).write_parquet(path)
    found = metrics_file.read(path)
    assert found.schema == pl.Schema(metrics.SCHEMA)
    assert found["tier"].to_list() == [None, None]
    assert found["value"].to_list() == [1.5, 2.5]


def test_a_stray_file_explains_itself(tmp_path):
    path = tmp_path / "stray.parquet"
    metrics_file.write(path, ROWS, "20260101T000000Z-aaaaaa")
    told = metrics_file.explain(path)
    assert (told["run_id"], told["intact"]) == ("20260101T000000Z-aaaaaa", "yes")
    changed = ROWS.with_columns(value=pl.col("value") * 2)
    changed.write_parquet(path, metadata={"run_id": "x", "sha256": told["sha256"]})
    assert metrics_file.explain(path)["intact"] == "no"
    ROWS.write_parquet(path)
    assert metrics_file.explain(path) == {"run_id": "", "sha256": "", "intact": "no"}
