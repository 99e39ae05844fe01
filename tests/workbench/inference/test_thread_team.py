"""Threads that are woken for work, wait for orders, and end."""

import threading

import pytest

from kernels.llama_plan import blank_layers, blank_plan
from kernels.llama_team import STOP
from kernels.team import first_line, lines
from workbench.inference.thread_team import ThreadTeam
from workbench.inference.weights import blank_jobs


@pytest.fixture
def team():
    plan, memory = blank_plan(), lines(3)
    plan[0].n_threads, plan[0].counters = 3, first_line(memory)
    before = threading.active_count()
    team = ThreadTeam(plan, blank_layers(1), blank_jobs())
    assert threading.active_count() == before + 2
    yield team
    team.close()
    team.close()
    assert threading.active_count() == before


def test_workers_come_back_for_every_piece_of_work(team):
    for _ in range(3):
        with team.working():
            pass


def test_the_outermost_work_counts(team):
    with team.working():
        with team.working():
            pass
        # A team that had been sent home would not meet at this order.
        team.order(STOP + 99, 0)


def test_work_that_fails_sends_the_workers_home(team):
    with pytest.raises(ValueError, match="stop"), team.working():
        raise ValueError("stop")
    with team.working():
        team.order(STOP + 99, 0)


def test_a_team_of_one_starts_no_thread():
    plan = blank_plan()
    plan[0].n_threads = 1
    before = threading.active_count()
    with ThreadTeam(plan, blank_layers(1), blank_jobs()) as team, team.working():
        assert threading.active_count() == before
        team.order(STOP, 0)
