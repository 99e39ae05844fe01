"""Counters: what perf answers, and each reason why it does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.profiling import counters

COUNTED = """# started on Tue Nov 24
5123456,,instructions:u,100,100.00,0.8,insn per cycle
6404320,,cycles:u,100,100.00,,
1234,,cache-misses,100,50.00,,
<not counted>,,branch-misses,0,0.00,,
"""


def test_counts_are_read_and_missing_ones_named() -> None:
    found = counters.parse(COUNTED)
    assert found.counts == {"instructions": 5123456, "cycles": 6404320, "cache-misses": 1234}
    assert found.reason.startswith("perf answers <not counted> for branch-misses")


def test_a_machine_without_counters_says_so_in_one_line(tmp_path: Path) -> None:
    text = "\n".join(f"<not supported>,,{name},0,100.00,," for name in counters.EVENTS)
    found = counters.parse(text)
    assert found.counts == {}
    assert found.reason.startswith("perf answers <not supported> for instructions, cycles, cache")
    assert "\n" not in found.reason
    assert "virtual machine" in counters._why(tmp_path)
    (tmp_path / "cpu").mkdir()
    assert counters._why(tmp_path) == ""
    assert counters._why(tmp_path / "no sysfs") == ""


def test_a_missing_perf_says_how_to_come_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", "")
    assert counters.missing() == "perf is not installed; fix: apt-get install linux-perf"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "xctrace" in counters.missing()


def test_a_perf_that_may_not_count_names_the_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    perf = tmp_path / "perf"
    perf.write_text("#!/bin/sh\necho 'Error: No permission to enable instructions' >&2; exit 255\n")
    perf.chmod(0o755)
    level = tmp_path / "level"
    level.write_text("4\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(counters, "_PARANOID", level)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "perf_event_paranoid is 4; fix: sudo sysctl" in counters.missing()
    monkeypatch.setattr(counters, "_PARANOID", tmp_path / "none")
    assert counters.missing().startswith("perf cannot count: Error: No permission")


def test_a_command_that_left_no_counts(tmp_path: Path) -> None:
    assert counters.read(tmp_path / "none").reason == "perf stat wrote nothing"


def test_perf_here_counts_or_gives_a_reason(tmp_path: Path) -> None:
    reason = counters.missing()
    if shutil.which("perf") is None:
        assert "not installed" in reason
        return
    subprocess.run(counters.wrap(["true"], tmp_path / "out"), check=False, capture_output=True)
    assert bool(counters.read(tmp_path / "out").counts) == (not reason)
