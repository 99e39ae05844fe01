"""Whichever call goes wrong, in whichever way, only misses come of it."""

from __future__ import annotations

import pytest

from tests.torture import faults, rot
from tests.torture.faults import Case
from tests.torture.ledger import Count

# Every kind of call; the torture run has longer scripts and more seeds.
CASES = [case for case in faults.cases() if case.op not in ("read", "open")]
READS = [case for case in faults.cases() if case.op in ("read", "open")]


@pytest.mark.parametrize("case", CASES, ids=Case.told)
def test_the_nth_call_fails_for_every_n(case: Case) -> None:
    problems = [faults.told(outcome) for outcome in faults.run_case(case, seed=2, n_steps=8)]
    assert [problem for problem in problems if problem] == []


@pytest.mark.parametrize("case", READS, ids=Case.told)
def test_the_nth_read_fails_for_every_n(case: Case) -> None:
    problems = [faults.told(outcome) for outcome in faults.run_case(case, seed=3, n_steps=4)]
    assert [problem for problem in problems if problem] == []


def test_files_cut_at_every_sector_of_the_first_pages_and_every_page_after() -> None:
    count = Count.of(rot.truncations(every=2048))
    assert count.runs > 300
    assert count.told == ()


def test_random_bits_of_all_files() -> None:
    count = Count.of(rot.random_flips(5, 250))
    assert count.runs == 250
    assert count.told == ()
