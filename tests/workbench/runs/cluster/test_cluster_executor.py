"""Sweeps on real workers in processes of their own, which are killed in the middle."""

from __future__ import annotations

import json
import signal
import threading

import nbformat
import pytest

from workbench.runs import record, registry
from workbench.runs.cluster.connecting import to_scheduler
from workbench.runs.cluster.worker import WorkerError
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.grid import grid
from workbench.runs.request import LATEST, NOTEBOOK
from workbench.runs.stop import Stop
from workbench.runs.sweep import Sweep, remaining, run_all

DEADLINE_S = 200


def _states(folder) -> list[str]:
    return [json.loads(path.read_bytes())["status"] for path in folder.glob("*/*/run.json")]


def test_a_killed_workers_run_is_made_again_by_another(
    make_day, setup_cell, cluster, until, runs_folder
):
    mark = cluster.folder / "begun"
    hangs = (
        "import pathlib, time\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "first = not mark.exists()\n"
        "mark.touch()\n"
        "time.sleep(600 if first else 0)"
    )
    day = make_day(setup_cell, hangs, "d.close()")
    _, address = cluster.scheduler("scheduler")
    workers = {name: cluster.worker(address, name) for name in ("one", "two")}
    sweep = cluster.sweep(day, "-p", "seed=1,2,3", "--scheduler", address)
    until(mark.exists, "run that hangs")
    (lost,) = (name for name in workers if "running" in _states(cluster.runs(name)))
    workers[lost].send_signal(signal.SIGKILL)

    out, err = sweep.communicate(timeout=DEADLINE_S)
    assert sweep.returncode == 0, err
    assert "3 of 3 runs" in out
    assert [line[:5] for line in err.splitlines()] == ["[1/3]", "[2/3]", "[3/3]"]
    runs = registry.runs()
    assert sorted(run.params["seed"] for run in runs) == [1, 2, 3]
    assert {run.status for run in runs} == {"ok"}
    assert sorted(run.attempts for run in runs) == [1, 1, 2]
    assert len({run.sweep for run in runs}) == 1
    assert all(run.machine_id and not run.contended for run in runs)  # they took turns
    for run in runs:
        nbformat.read(registry.run_folder(run) / NOTEBOOK, as_version=4)
        assert (runs_folder / "packages" / f"{run.packages_hash}.txt").exists()
    assert (runs_folder / "day01" / LATEST).exists()
    (left_behind,) = (
        path
        for path in cluster.runs(lost).glob("day01/*/run.json")
        if record.read(path).status == "running"
    )
    assert record.read_settled(left_behind).status == "killed"


def test_a_dead_scheduler_leaves_what_ended_and_another_one_goes_on(
    make_day, setup_cell, cluster, until, runs_folder
):
    mark, allowed = cluster.folder / "begun", cluster.folder / "allowed"
    hangs = (
        "import pathlib, time\n"
        f"mark, allowed = map(pathlib.Path, ({str(mark)!r}, {str(allowed)!r}))\n"
        "if seed == 2 and not allowed.exists():\n"
        "    mark.touch()\n"
        "    time.sleep(600)"
    )
    points = grid(Day01Params, ["seed=1,2"], "tiny")
    sweep = Sweep(make_day(setup_cell, hangs, "d.close()"), points)
    scheduler, address = cluster.scheduler("first")
    cluster.worker(address, "one")

    def kill_scheduler() -> None:
        until(mark.exists, "run that hangs")
        until(lambda: _states(runs_folder) == ["ok"], "first run's row")
        scheduler.send_signal(signal.SIGKILL)

    with to_scheduler(address, sweep.stores, alone=True) as executor:
        _in_the_meantime(kill_scheduler)
        with pytest.raises(WorkerError, match=f"the scheduler at {address} is gone.*--resume"):
            run_all(sweep.requests(), Stop(), executor)
    assert [(run.params["seed"], run.status) for run in registry.runs()] == [(1, "ok")]
    # The worker ends what nobody takes any more, and with it its turn.
    until(lambda: sorted(_states(cluster.runs("one"))) == ["interrupted", "ok"], "end of its run")

    mark.unlink()
    _, address = cluster.scheduler("second")
    cluster.worker(address, "two")
    stop = Stop()

    def stop_now() -> None:
        until(mark.exists, "run that hangs again")
        stop.stop_now()

    with to_scheduler(address, sweep.stores, alone=True) as executor:
        left = remaining(sweep, executor)
        assert [request.params.seed for request in left] == [2]
        _in_the_meantime(stop_now)
        (stopped,) = run_all(left, stop, executor)
        assert stopped.record.status == "interrupted"
        allowed.touch()
        (ended,) = run_all(remaining(sweep, executor), Stop(), executor)
        assert remaining(sweep, executor) == []
    assert (ended.record.params["seed"], ended.record.status) == (2, "ok")
    assert sorted(_states(runs_folder)) == ["interrupted", "ok", "ok"]


def _in_the_meantime(act) -> None:
    threading.Thread(target=act, daemon=True).start()
