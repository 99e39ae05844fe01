"""The command itself: errors become one message and their exit code, `--help` is quick to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import workbench.cli as cli
from workbench.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("no such day"), 2, "error: no such day\n"),
        (DataError("cut off"), 3, "error: cut off\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_errors_end_in_their_exit_code(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr() == ("", message)


def test_a_wrong_option_is_a_usage_error() -> None:
    command = [sys.executable, "-c", "from workbench.cli import main; main()", "list", "--nonsense"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "--nonsense" in run.stderr


def test_loading_the_command_loads_nothing_heavy() -> None:
    heavy = ["numpy", "polars", "numba", "altair", "papermill", "nbconvert", "pydantic", "requests"]
    script = f"import sys, workbench.cli; print([n for n in {heavy} if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
