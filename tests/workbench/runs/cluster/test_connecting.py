"""What a sweep cannot survive is told before it begins: no scheduler, no worker, other code."""

from __future__ import annotations

import dataclasses

import pytest

from workbench.errors import UsageError
from workbench.runs.cluster import connecting, worker
from workbench.runs.cluster.connecting import to_own_workers, to_scheduler
from workbench.runs.cluster.worker import WorkerError


@pytest.mark.parametrize(
    ("address", "error", "text"),
    [
        ("tcp://127.0.0.1:9", WorkerError, "start one with `dask scheduler`"),
        ("nonsense://x", UsageError, "give one such as tcp://host:8786"),
    ],
)
def test_a_scheduler_that_is_not_there(monkeypatch, address, error, text):
    monkeypatch.setattr(connecting, "_CONNECT_S", 1)
    with pytest.raises(error, match=text), to_scheduler(address, ["data/store"], alone=True):
        pass


def test_a_scheduler_without_a_worker_then_one_of_other_code(cluster, monkeypatch):
    monkeypatch.setattr(connecting, "_WORKERS_S", 1)
    _, address = cluster.scheduler("scheduler")
    with (
        pytest.raises(WorkerError, match=f"dask worker {address}"),
        to_scheduler(address, ["data/store"], alone=True),
    ):
        pass

    monkeypatch.setattr(connecting, "_WORKERS_S", 90)
    cluster.worker(address, "one")
    with to_scheduler(address, ["data/store"], alone=True) as executor:
        assert len(executor.machine_ids("data/store")) == 1
    ours = worker.facts(["data/store"])
    changed = dataclasses.replace(ours, versions=(("python", "3.0"), *ours.versions[1:]), code="0")
    monkeypatch.setattr(worker, "facts", _Here(changed))
    with (
        pytest.raises(WorkerError) as caught,
        to_scheduler(address, ["data/store"], alone=True),
    ):
        pass
    lines = str(caught.value).splitlines()
    assert "here it is 3.0" in lines[0]
    assert "other code" in lines[1]
    assert lines[2].startswith("bring every worker to this commit")


class _Here:
    """Answers for this process alone; a worker answers for itself."""

    def __init__(self, changed: worker.Facts) -> None:
        self._changed = changed

    def __call__(self, stores: list[str]) -> worker.Facts:
        return self._changed

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return getattr, (worker, "facts")


def test_own_workers_are_of_this_machine_and_end_with_it(data_folder):
    with to_own_workers(1, ["data/store"]) as executor:
        assert executor.machine_ids("data/store") == set(worker.facts(["data/store"]).machine_ids)
        client = executor._client
        assert client.scheduler.address.startswith("tls://127.0.0.1")
    assert client.status == "closed"
