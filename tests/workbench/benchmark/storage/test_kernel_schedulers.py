"""The kernel's schedulers: compared where they can be switched, a note where they cannot."""

from contextlib import contextmanager

import pytest

from workbench.benchmark.storage import kernel_schedulers
from workbench.benchmark.storage.kernel_schedulers import SchedulersPlan
from workbench.tiering.async_io.kernel_scheduler import KernelScheduler, Switch

PLAN = SchedulersPlan(n_blocks=2, block_kib=64, queue_depth=8)
CHOICE = KernelScheduler("disk0", "one", ("two", "one"), "")


def test_what_the_machine_allows_is_compared_or_explained(disk_folder):
    found = kernel_schedulers.measure(disk_folder, PLAN)
    assert found.notes[0].startswith("the kernel schedules")
    assert found.table.is_empty() == found.metrics.is_empty()
    assert found.table.is_empty() == ("not compared" in found.notes[0])
    assert list(disk_folder.iterdir()) == []


@pytest.fixture
def switches(monkeypatch):
    """A machine with two schedulers; what a machine allows must not decide what is tested."""
    seen: list[str] = []

    @contextmanager
    def switched(path, name):
        seen.append(name)
        yield Switch(CHOICE, "")

    monkeypatch.setattr(kernel_schedulers, "kernel_scheduler", lambda path: CHOICE)
    monkeypatch.setattr(kernel_schedulers, "switched", switched)
    return seen


def test_each_sample_runs_under_its_own_and_the_one_in_use_is_the_baseline(disk_folder, switches):
    found = kernel_schedulers.measure(disk_folder, PLAN)
    assert found.table.select("workload", "scheduler").rows() == [
        ("sequential", "one"),
        ("sequential", "two"),
        ("scattered", "one"),
        ("scattered", "two"),
    ]
    assert found.table["of the one in use"][0] == 1
    assert switches.count("one") == switches.count("two") == 2 * 11
    assert set(found.metrics["metric"]) == {
        "kernel_scheduler_sequential",
        "kernel_scheduler_scattered",
    }
    assert "compared with two, and put back" in found.notes[0]


def test_a_kernel_that_offers_and_refuses_is_quoted(disk_folder, switches, monkeypatch):
    @contextmanager
    def refusing(path, name):
        yield Switch(CHOICE, "no such module")

    monkeypatch.setattr(kernel_schedulers, "switched", refusing)
    found = kernel_schedulers.measure(disk_folder, PLAN)
    assert found.table.is_empty()
    assert found.notes[0].endswith("others were not compared: no such module")


def test_a_disk_without_a_choice_is_left_alone(disk_folder, monkeypatch):
    none = KernelScheduler("disk0", "one", ("one",), "there is only one")
    monkeypatch.setattr(kernel_schedulers, "kernel_scheduler", lambda path: none)
    found = kernel_schedulers.measure(disk_folder, PLAN)
    assert found.metrics.is_empty()
    assert found.notes == (
        "the kernel schedules disk0 by one; others were not compared: there is only one",
    )
