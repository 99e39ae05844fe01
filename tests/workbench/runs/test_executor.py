"""Who makes a sweep's runs: this process, unless more was asked for."""

from __future__ import annotations

from workbench.benchmark.machine import identify
from workbench.runs import executor
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.executor import Here
from workbench.runs.progress import Silent
from workbench.runs.request import Request
from workbench.runs.stop import Stop


def test_one_job_without_a_scheduler_is_made_here(data_folder):
    with executor.opened(["data/store"]) as makes_runs:
        assert isinstance(makes_runs, Here)
        assert makes_runs.machine_ids("data/store") == {identify(data_folder).id}


def test_here_one_run_after_the_other_tells_its_cells(
    make_day, setup_cell, runs_folder, data_folder
):
    class Counting(Silent):
        cells = 0

        def end(self, cell, seconds):
            Counting.cells += 1

    stop = Stop()
    requests = [
        Request(make_day(setup_cell, "d.close()"), Day01Params(preset="tiny", seed=seed))
        for seed in (1, 2, 3)
    ]
    runs = Here(lambda number, request: Counting()).runs(requests, stop)
    assert next(runs)[1].record.params["seed"] == 1
    assert Counting.cells == 4  # with the parameters that papermill injected
    stop.soon.set()
    assert list(runs) == []
