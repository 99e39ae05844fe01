"""`workbench lab`: refusals before anything starts; tests/notebooks drives the real one."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import UsageError


def run(*arguments: str) -> None:
    CliRunner().invoke(app, ["lab", *arguments], catch_exceptions=False)


def test_an_unknown_day_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean day02"):
        run("day02x")


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="is taken"):
            run("--port", str(taken.getsockname()[1]))
