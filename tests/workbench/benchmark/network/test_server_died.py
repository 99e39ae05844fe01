"""Real blows to a real server: only misses, and answers that are equal to the bit."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.network import server_died
from workbench.benchmark.network.fresh_machine import Answer
from workbench.benchmark.network.server_died import (
    FROZEN,
    HEALTHY,
    HIT,
    KILLED,
    MISS,
    PHASES,
    RESTARTED,
    THAWED,
    DiedPlan,
    Served,
    ServerDied,
)

ANSWER = Answer(0.1, 64, 1, (1, 2), "digest")


@pytest.fixture(scope="module")
def died(tmp_path_factory, disk_root):
    model = write_model(tmp_path_factory.mktemp("model"))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=disk_root) as name:
        # The tiny model has its own small vocabulary.
        ids = [(5 * n) % 30 + 1 for n in range(65)]
        patch.setattr(server_died.real_text, "token_ids", lambda *_: ids)
        yield server_died.measure(model, Path(name), DiedPlan(4, 64, 2))


def outcomes(died, phase):
    return [one.outcome for one in died.served if one.phase == phase]


def test_every_phase_is_served(died):
    assert [phase for phase in PHASES if outcomes(died, phase)] == list(PHASES)
    assert len(died.without) == 2 * len(PHASES)
    assert set(died.seen_again_s) == {RESTARTED, THAWED}


def test_hits_while_it_lives_misses_while_it_does_not(died):
    # On a busy machine one block may come too late, not all of them.
    assert HIT in outcomes(died, HEALTHY)
    assert set(outcomes(died, KILLED)) == set(outcomes(died, FROZEN)) == {MISS}
    # A restarted server is empty: the first request behind its return fills it.
    assert HIT in outcomes(died, RESTARTED)[-3:]
    assert HIT in outcomes(died, THAWED)[-4:]


def test_no_answer_differs(died):
    assert died.n_different == 0
    assert len({one.answer.token_ids for one in died.served}) == 1


def test_the_frozen_server_was_waited_for_once_or_twice(died):
    # One op time-out is 50 ms; less would mean that the tier never asked the frozen server.
    assert max(died.waits_s(FROZEN)) > 0.02


def test_rows_and_table_have_every_request(died):
    rows = died.metrics
    assert rows.height == len(died.without) + 2 * len(died.served)
    table = died.table
    assert table["server"].to_list() == [*PHASES, "no network tier"]
    assert table["requests"].sum() == len(died.served) + len(died.without)


def test_a_different_answer_is_counted():
    other = replace(ANSWER, digest="other", resumed_tokens=0)
    served = (Served(HEALTHY, ANSWER, 0.0), Served(KILLED, other, 0.0))
    assert ServerDied(served, (ANSWER,), {}).n_different == 1
    assert [one.outcome for one in served] == [HIT, MISS]
