"""session.json: what the notebook's session tells the process that runs it.

Follows: the parent owns run.json, the kernel owns this file; each has one writer.
Leaves out: the session itself (session.py).
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from workbench.runs.publish import write_atomic
from workbench.runs.record import VerdictRecord
from workbench.runs.scrub import scrubber

FILE_NAME = "session.json"


class SessionReport(BaseModel):
    """How far the session came; written anew at each step."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    closed: bool = False
    verdict: VerdictRecord | None = None
    peak_rss_bytes: int | None = None
    compile_s: float | None = None


def write(folder: Path, report: SessionReport) -> None:
    """Replace the run's session.json."""
    text = json.dumps(scrubber().value(report.model_dump(mode="json")), indent=1)
    write_atomic(folder / FILE_NAME, (text + "\n").encode())


def read(folder: Path) -> SessionReport | None:
    """Read a run's session.json; None if its notebook never opened a session."""
    path = folder / FILE_NAME
    return SessionReport.model_validate_json(path.read_bytes()) if path.exists() else None
