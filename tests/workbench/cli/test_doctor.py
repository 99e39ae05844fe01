"""`workbench doctor`: a line a check, a fix a trouble, exit code 3 only when something fails."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from workbench.cli import app


def test_lines_and_exit_code_when_nothing_fails(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["doctor", "--store", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    assert "ok    python" in answer.stdout
    assert answer.stdout.count("fix:") == answer.stdout.count("warn  ")


def test_json_and_exit_code_when_a_check_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = CliRunner().invoke(app, ["doctor", "--json", "--store", str(tmp_path / "file" / "x")])
    assert answer.exit_code == 3
    rows = {row["check"]: row for row in json.loads(answer.stdout)}
    assert rows["store"]["status"] == "fail"
    assert rows["store"]["fix"]
