"""`workbench profile`: refusals before anything starts; runs/profile makes the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.cli import profile as verb
from workbench.errors import UsageError
from workbench.profiling import sampler


def run(*arguments: str) -> None:
    CliRunner().invoke(app, ["profile", *arguments], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["day0"], "cannot profile day0; did you mean day0"),
        (["profile"], "cannot profile profile"),
        (["nonsense"], "there are day01"),
        (["day01", "-p", "blck_kib=4"], "unknown parameter blck_kib; did you mean block_kib"),
        (["day01", "--", "--preset", "tiny"], "a day takes options"),
        (["bench", "--preset", "tiny"], "give bench's own behind --"),
    ],
)
def test_what_cannot_be_profiled_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(*arguments)


def test_a_verbs_own_arguments_stand_behind_two_dashes() -> None:
    chosen = verb._target("data", ["list", "--json"], [], None, None)
    assert chosen.shown == "workbench data list --json"


def test_without_a_sampler_nothing_is_run(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise sampler.refused("Error: Permission denied", "darwin")

    monkeypatch.setattr(sampler, "check", refuse)
    with pytest.raises(sampler.SamplerError, match="Permission denied\nfix: run it with sudo"):
        run("list")
    assert list(runs_folder.iterdir()) == []
