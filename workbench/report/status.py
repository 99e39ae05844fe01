"""A run's state in words and a sign, so that no colour is needed to read it.

Follows: the statuses of workbench/runs/record.py.
Leaves out: colours, which the style sheet picks by `Status.tone`.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.runs.record import RunRecord


@dataclass(frozen=True, slots=True)
class Status:
    """How a state is shown: a sign, words, and one of the tones good, bad, open, quiet."""

    sign: str
    text: str
    tone: str


_STATUSES = {
    "ok": Status("✓", "Finished", "good"),
    "refuted": Status("≠", "Claim refuted", "warn"),
    "undecided": Status("≈", "Undecided", "open"),
    "failed": Status("✗", "Failed", "bad"),
    "timed_out": Status("◔", "Timed out", "bad"),
    "killed": Status("■", "Killed", "bad"),
    "interrupted": Status("‖", "Interrupted", "quiet"),
    "running": Status("▸", "Running", "quiet"),
}
_HOLDS = Status("✓", "Claim holds", "good")


def status_of(record: RunRecord) -> Status:
    """Return how the run's state is shown; an ok run with a verdict says that the claim holds."""
    if record.status == "ok" and record.verdict is not None:
        return _HOLDS
    return _STATUSES[record.status]


def all_statuses() -> dict[str, Status]:
    """Return every status by its name in run.json, for the index page's filter."""
    return dict(_STATUSES)


def is_finished(record: RunRecord) -> bool:
    """Tell whether the run reached its end, whatever came out."""
    return record.status in ("ok", "refuted", "undecided")
