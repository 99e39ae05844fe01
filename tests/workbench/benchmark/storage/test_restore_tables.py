"""Rows, table and proof of a restore, from made-up rounds."""

import numpy as np
import polars as pl
import pytest

from workbench.benchmark.paired import Samples
from workbench.benchmark.storage import restore_tables, restore_workloads
from workbench.benchmark.storage.fio import FioResult
from workbench.benchmark.storage.restore import Group
from workbench.benchmark.storage.restore_ceiling import job_for
from workbench.benchmark.storage.restore_variants import ladder


@pytest.fixture
def group():
    workload = restore_workloads.sequential(2)
    variants = ladder(256, 32)[:3]
    seconds = {one.name: np.full(10, 1 / (i + 1)) for i, one in enumerate(variants)}
    samples = Samples(seconds, dict.fromkeys(seconds, 1e9))
    jobs = {one.name: job_for(workload, one, 100) for one in variants}
    runs = [FioResult(gb_s, 1.0, 1.0, 1.0, "io_uring", "") for gb_s in (4.0, 6.0, 5.0)]
    fio = {job: runs if job.depth > 1 else [] for job in jobs.values()}
    return Group(workload, variants, samples, jobs, fio)


def test_a_row_has_its_rate_ratio_and_ceiling(group):
    table = restore_tables.wide_table([group])
    base, size, deep = table.rows(named=True)
    assert (base["GB/s"], base["of baseline"], base["block_kib"]) == (1, 1, 16)
    assert (base["ceiling GB/s"], base["of ceiling"], base["ceiling spread"]) == (None,) * 3
    assert (size["GB/s"], size["of baseline"], size["depth"]) == (2, pytest.approx(2), 1)
    assert deep["of ceiling"] == pytest.approx(3 / 5)
    assert deep["ceiling spread"] == pytest.approx(1.5)


def test_metric_rows_hold_every_round_and_every_run_of_fio(group):
    rows = restore_tables.metric_rows([group])
    assert set(rows["metric"]) == {"restore_sequential"}
    counts = dict(rows.group_by("variant").len().iter_rows())
    assert counts == {"synchronous": 10, "block_size": 10, "queue_depth": 10, "fio_qd32": 3}
    case = rows.filter(pl.col("variant") == "fio_qd32")["case"].unique().to_list()
    assert case == ["block_kib=256"]


def test_the_proof_keeps_the_worst_of_each_file_and_engine():
    one = pl.DataFrame(
        {
            "what": ["a", "a", "b"],
            "engine": ["x", "x", "x"],
            "O_DIRECT read back": ["set", "not set", "set"],
            "resident before": [0.0, 0.5, 0.0],
            "resident after": [0.25, 0.0, 0.0],
            "proven": [True, False, True],
        }
    )
    assert restore_tables.proof([one[:1], one[1:]]).rows() == [
        ("a", "x", "not set, set", 0.5, 0.25, False),
        ("b", "x", "set", 0.0, 0.0, True),
    ]
