"""Count instructions, cycles and misses with Linux' perf, or say in one line why that cannot be.

Follows: `perf stat -x,`, whose answer for a counter is a number, <not supported> or <not counted>.
Leaves out: counters of single functions, and macOS, whose xctrace has a template for them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EVENTS = ("instructions", "cycles", "cache-misses", "branch-misses")
_PROBE_TIMEOUT_S = 20
_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_PROCESSOR_EVENTS = ("cpu", "cpu_core", "armv8_pmuv3", "armv8_pmuv3_0")
_SOURCES = Path("/sys/bus/event_source/devices")


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts by event, and why those that are missing are: "" if none is."""

    counts: Mapping[str, int]
    reason: str = ""


def wrap(command: Sequence[str], output: Path) -> list[str]:
    """Return a command that runs the given one and leaves its counts in a file."""
    events = ",".join(EVENTS)
    return [
        "perf", "stat", "--field-separator", ",", "--event", events, "--output", str(output),
        "--", *command,
    ]  # fmt: skip


def missing() -> str:
    """Return why nothing can be counted here, in one line; "" if something can.

    Cost    20 ms.
    """
    if sys.platform != "linux":
        return "hardware counters: perf is Linux only; on macOS: xctrace --template 'CPU Counters'"
    if shutil.which("perf") is None:
        return "perf is not installed; fix: apt-get install linux-perf"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "counts"
        answer = subprocess.run(
            wrap(["true"], output),
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_TIMEOUT_S,
        )
        text = output.read_text(encoding="utf-8") if output.exists() else ""
    found = parse(text)
    return "" if found.counts else found.reason or _refused(answer.stderr)


def read(output: Path) -> Counters:
    """Read what a wrapped command left behind."""
    if not output.exists():
        return Counters({}, "perf stat wrote nothing")
    return parse(output.read_text(encoding="utf-8"))


def parse(text: str) -> Counters:
    """Return the counts in what ``perf stat -x,`` wrote."""
    counts: dict[str, int] = {}
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        value, _, event = [*line.split(","), "", ""][:3]
        name = event.partition(":")[0]
        if name not in EVENTS:
            continue
        if value.isdigit():
            counts[name] = int(value)
        else:
            said.setdefault(value, []).append(name)
    reasons = [f"perf answers {value} for {', '.join(names)}" for value, names in said.items()]
    reason = "; ".join(reasons)
    return Counters(counts, f"{reason}{_why()}" if reason else "")


def _why(sources: Path = _SOURCES) -> str:
    """Return what the system says about a processor without counters; "" if nothing."""
    has_counters = any((sources / name).exists() for name in _PROCESSOR_EVENTS)
    if has_counters or not sources.is_dir():
        return ""
    return ": this kernel has no counters of the processor, as in most virtual machines"


def _refused(said: str) -> str:
    if _PARANOID.exists() and ("ermission" in said or "paranoid" in said):
        level = _PARANOID.read_text(encoding="ascii").strip()
        fix = "sudo sysctl kernel.perf_event_paranoid=1"
        return f"perf may not count: perf_event_paranoid is {level}; fix: {fix}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"perf cannot count: {lines[0] if lines else 'it gives no reason'}"
