"""Counts of finished units outlive the process that made them."""

from __future__ import annotations

from pathlib import Path

from tests.torture.history import Verdict
from tests.torture.ledger import Count, Ledger


def test_a_count_keeps_the_first_wrong_answers_in_words_and_counts_all() -> None:
    count = Count.of([Verdict(3, 2, [str(n) for n in range(4)]), Verdict(1, 1, ["x"] * 4)])
    assert count == (2, 4, 3, 8, ("0", "1", "2", "3", "x"))
    assert count.bad == 8 + 1
    assert count.plus(Count(1, 1, 1, 1, ("y",))) == (3, 5, 4, 9, count.told)


def test_a_resumed_ledger_knows_what_was_done_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "torture.jsonl"
    first = Ledger(path, resume=True)
    first.add("rot", 0, Count(5, 2, 2))
    first.add("rot", 3, Count(1, 0, 0, 1, ("key 7",)))
    second = Ledger(path, resume=True)
    assert [second.has("rot", unit) for unit in range(4)] == [True, False, False, True]
    assert second.total("rot") == (6, 2, 2, 1, ("key 7",))
    second.add("kills", 0, Count(1, 1, 1))
    third = Ledger(path, resume=True)
    assert third.total("kills") == (1, 1, 1, 0, ())
    assert third.n_done("rot") == 2


def test_a_line_that_was_cut_off_is_a_unit_that_was_not_done(tmp_path: Path) -> None:
    path = tmp_path / "torture.jsonl"
    ledger = Ledger(path, resume=False)
    ledger.add("rot", 0, Count(5))
    ledger.add("rot", 1, Count(7))
    path.write_bytes(path.read_bytes()[:-4])
    again = Ledger(path, resume=True)
    assert not again.has("rot", 1)
    again.add("rot", 1, Count(8))
    assert Ledger(path, resume=True).total("rot").runs == 13


def test_without_resume_everything_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "torture.jsonl"
    Ledger(path, resume=False).add("rot", 0, Count(5))
    assert Ledger(path, resume=False).n_done("rot") == 0
    assert Ledger(path, resume=True).n_done("rot") == 0
