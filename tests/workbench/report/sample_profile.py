"""A profile with some of everything, made up, for the tests of its page."""

from __future__ import annotations

from typing import Any

from workbench.profiling.frames import Frame
from workbench.runs.profile import profile_file
from workbench.runs.profile.profile_file import Profile
from workbench.runs.record import RunRecord

CELL = Frame("cell 5 (memory)", "the notebook", "cell")
RUN = Frame("interleave", "workbench/benchmark/paired.py", "project")
KERNEL = Frame("kernels.copy.nontemporal", "compiled by Numba", "kernel")
OUTSIDE = Frame("start-up and machinery", "outside cells and verbs", "package")
READ = Frame("preadv64v2", "libc", "native")


def sample_record() -> RunRecord:
    """Return the record of a profile of Day 1."""
    return RunRecord(
        run_id="20261124T080000Z-f1a3e0",
        day="profile",
        kind="profile",
        preset="tiny",
        params={"command": "workbench run day01 --preset tiny", "rate_hz": 50},
        status="ok",
        started="2026-11-24T08:00:00.000+00:00",
        wall_s=36.0,
        machine={"cpu": "Sample CPU", "n_cpu": 2, "ram_bytes": 8 << 30},
        machine_id="0123456789ab",
    )


def sample_profile(**changes: Any) -> Profile:
    """Return a profile, parts of it exchanged."""
    frames, stacks = profile_file.folded(
        {(CELL, RUN, KERNEL): 6.0, (CELL, RUN): 2.0, (OUTSIDE, READ): 2.0}
    )
    phase = {"name": "tier reads", "calls": 3, "whole_ns": 60_000_000, "own_ns": 40_000_000}
    usage = {"wall_s": 1.0, "user_s": 0.6, "system_s": 0.2, "minor_faults": 10_000}
    told = {
        "command": "workbench run day01 --preset tiny",
        "sampler": "py-spy 0.4.3",
        "rate_hz": 50,
        "native": True,
        "n_samples": 3000,
        "n_waiting": 1000,
        "profiled_s": 12.5,
        "plain_s": (11.0, 10.0),
        "counters": {"instructions": 3000, "cycles": 2000},
        "phases": ({**phase, "minor_faults": 7, "major_faults": 1},),
        "usage": usage,
        "fault_us": 2.0,
        "frames": tuple(frames),
        "stacks": tuple(stacks),
    }
    return Profile.model_validate({**told, **changes})
