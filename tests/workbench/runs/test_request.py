"""What a run was asked for: which limit applies, and whether what came of it is complete."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from workbench.runs import record
from workbench.runs.days import DAYS
from workbench.runs.days.day01_baseline import Day01Params
from workbench.runs.request import NOTEBOOK, Request, Run


def test_the_days_own_limit_applies_unless_another_is_given():
    request = Request(DAYS["day01"], Day01Params())
    assert request.cell_timeout_s == DAYS["day01"].cell_timeout_s
    assert dataclasses.replace(request, timeout_s=7).cell_timeout_s == 7


@pytest.mark.parametrize(("status", "complete"), [("refuted", True), ("interrupted", False)])
def test_a_refuted_run_is_complete_and_a_stopped_one_is_not(
    status, complete, tmp_path, runs_folder
):
    begun = record.new("day01", Day01Params(), "workbench")
    run = Run(begun.model_copy(update={"status": status}), tmp_path)
    assert (run.complete, run.notebook) == (complete, tmp_path / NOTEBOOK)


def test_asking_for_a_run_needs_no_papermill():
    code = "import sys, workbench.runs.request; assert 'papermill' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
