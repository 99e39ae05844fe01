"""`workbench --help` answers soon: nothing heavy is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys

from workbench import paths

HEAVY = ("numba", "numpy", "polars", "altair", "papermill", "pydantic", "vl_convert", "nbformat")
VERBS = ("list", "params", "run", "sweep", "compare", "report", "bench", "profile", "lab")
VERBS += ("doctor", "data", "key")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(paths.root())}


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return done.stdout


def test_nothing_heavy_is_imported():
    loaded = python("import sys, workbench.cli; print(*sys.modules)").split()
    assert "workbench.cli.run" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_help_names_every_verb():
    code = "import sys; from workbench.cli import main; sys.argv = ['workbench', '--help']; main()"
    said = python(code)
    for verb in VERBS:
        assert f" {verb} " in said
