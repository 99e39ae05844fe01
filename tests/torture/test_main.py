"""The torture run counts, says what was wrong by its exit code, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import __main__ as torture
from tests.torture.history import Verdict
from tests.torture.ledger import Count, Ledger
from tests.torture.parts import PLANS, Part, parts


def run(ledger: Ledger, part: Part) -> int:
    return torture._Run(ledger).carry_out([part])


def test_a_whole_part_prints_its_counts(
    runs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert torture.main(["--smoke", "--only", "reordered"]) == 0
    told = capsys.readouterr().out.splitlines()
    name, *numbers = told[1].replace(",", "").split()
    runs, expected, found, wrong = map(int, numbers)
    assert name == "reordered"
    assert runs > 10
    assert expected == found > 10
    assert wrong == 0
    assert told[-1] == "nothing was wrong"
    assert [path.name for path in runs_folder.iterdir()] == ["torture-smoke-0.jsonl"]


def test_one_missing_block_is_an_answer_that_was_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = Part("rot", 2, lambda unit: [Verdict(3, 3 - unit, [])])
    assert run(Ledger(tmp_path / "ledger", resume=False), part) == 1
    assert "1 answers were wrong" in capsys.readouterr().out


def test_an_interrupted_run_keeps_its_counts_and_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[int] = []

    def unit_that_stops(unit: int) -> Iterator[Verdict]:
        if unit == 2 and len(done) == 2:
            done.append(-1)
            raise KeyboardInterrupt
        done.append(unit)
        yield Verdict(1, 1, [])

    part = Part("kills", 4, unit_that_stops)
    assert run(Ledger(tmp_path / "ledger", resume=False), part) == 130
    assert "interrupted after 2 of 4 units" in capsys.readouterr().out
    assert run(Ledger(tmp_path / "ledger", resume=True), part) == 0
    assert done == [0, 1, -1, 2, 3]
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == ["4", "4", "4", "0"]


def test_what_this_machine_refuses_is_skipped_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = Part("ring", 1, lambda unit: [], lambda: "no ring here")
    assert run(Ledger(tmp_path / "ledger", resume=False), part) == 0
    assert "skipped: no ring here" in capsys.readouterr().out


def test_the_plans_are_as_large_as_promised() -> None:
    n_units = {
        name: {part.name: part.n_units for part in parts(plan, 0)} for name, plan in PLANS.items()
    }
    kills = {
        name: sum(
            n * (45 if "random" in part else 24) for part, n in units.items() if "SIGKILL" in part
        )
        for name, units in n_units.items()
    }
    assert kills["smoke"] >= 200
    assert kills["full"] >= 2_000
    assert n_units["smoke"]["power loss"] * 100 >= 5_000
    assert n_units["full"]["power loss"] * 100 >= 200_000


def test_units_and_seeds_differ() -> None:
    def count(seed: int, unit: int) -> Count:
        (part,) = (one for one in parts(PLANS["smoke"], seed) if one.name == "power loss")
        return Count.of(part.run(unit))

    counts = [count(1, 0), count(1, 1), count(2, 0)]
    assert len({one.expected for one in counts}) == 3
    assert counts[0] == count(1, 0)
