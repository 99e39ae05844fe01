"""What a record says, in the words and order that a page shows it.

Follows: mlflow users' request to see changed parameters first and equal ones folded.
Leaves out: layout (templates/) and the charts.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.report.numbers import claim_text, duration, metric_name, plain_name, quantity
from workbench.report.shell import moment
from workbench.runs.days import find_day
from workbench.runs.params import describe
from workbench.runs.record import RunRecord, VerdictRecord

Fact = tuple[str, str]


def machine_name(machine: Mapping[str, Any]) -> str:
    """Return a machine in a few words: its processor and how many of them."""
    if not machine.get("cpu"):
        return "unknown machine"
    return f"{machine['cpu']}, {machine.get('n_cpu', '?')} CPUs"


def environment(record: RunRecord) -> list[Fact]:
    """Return what the run ran on and with."""
    machine = record.machine
    return [
        ("Processor", machine_name(machine)),
        ("Memory", quantity(machine.get("ram_bytes"), "bytes")),
        ("Disk", _joined(machine, "disk_model", "filesystem")),
        ("Governor", str(machine.get("governor") or "not known")),
        ("System", _joined(machine, "os", "arch")),
        ("Machine id", record.machine_id or "not known"),
        ("Python", record.python or "not known"),
        ("Packages", record.packages_hash or "not known"),
        ("Commit", commit(record)),
        ("Branch", record.branch or "not known"),
    ]


def appendix(record: RunRecord) -> list[Fact]:
    """Return how the run itself went."""
    cells = f"{record.cells_done} of {record.cells_total or '?'}"
    facts = [
        ("Run", record.run_id),
        ("Kept in", f"papermill_runs/{record.day}/{record.run_id}"),
        ("Made by", {"jupyterlab": "Jupyter"}.get(record.source, record.source)),
        ("Took", duration(record.wall_s)),
        ("Compiling, not measured", duration(record.compile_s)),
        ("Most memory held", quantity(record.peak_rss_bytes, "bytes")),
        ("Seed", str(record.seed)),
        ("Parameter hash", record.params_hash),
        ("Record version", str(record.schema_version)),
    ]
    if record.cells_total:
        facts.insert(4, ("Cells run", cells))
    return facts


def commit(record: RunRecord) -> str:
    """Return the commit, and whether the checkout differed from it."""
    if not record.git_sha:
        return "not known"
    return f"{record.git_sha[:10]}{' + changes' if record.git_dirty else ''}"


def verdict_facts(verdict: VerdictRecord) -> list[Fact]:
    """Return what was compared with what, and what was claimed."""
    return [
        ("Claim", claim_text(verdict.claim)),
        ("Contender", plain_name(verdict.contender)),
        ("Baseline", plain_name(verdict.baseline)),
        ("Measured", metric_name(verdict.metric)),
    ]


def outcome(record: RunRecord) -> str:
    """Return one sentence on how the run ended, for runs without a verdict and for lists."""
    if record.reason:
        return record.reason
    if record.verdict is not None:
        return record.verdict.sentence or _verdict_sentence(record.verdict)
    if record.kind == "profile" and record.status == "ok":
        return f"The last one is of {record.params.get('command', 'a command')}."
    if record.status == "ok":
        return "The run measured everything it set out to and claimed nothing."
    if record.status == "running":
        return f"The run began {moment(record.started)} and has not ended."
    return "The run ended without saying why."


def parameters(record: RunRecord) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the parameters that differ from their defaults, and the others, one row each."""
    day = find_day(record.day)
    known = {str(row["name"]): row for row in describe(day.params)} if day else {}
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for name, value in record.params.items():
        row = known.get(name)
        line = {"name": name, "value": str(value), "default": str(row["default"]) if row else None}
        line["meaning"] = _meaning(row) if row else "not a parameter of this version"
        same = row is not None and row["default"] == value
        rows[same].append(line)
    return rows[False], rows[True]


def changed_text(record: RunRecord) -> str:
    """Return the changed parameters on one line: block_kib=4, medium=page_cache."""
    return ", ".join(f"{row['name']}={row['value']}" for row in parameters(record)[0])


def command(record: RunRecord) -> str:
    """Return the command that runs this again."""
    overrides = [f"{row['name']}={row['value']}" for row in parameters(record)[0]]
    words: Sequence[str] = ["workbench", "run", record.day]
    return shlex.join([*words, *(word for text in overrides for word in ("-p", text))])


def _verdict_sentence(verdict: VerdictRecord) -> str:
    ratio = quantity(verdict.ratio.median, "x")
    who = f"{plain_name(verdict.contender)} reaches {ratio} of {plain_name(verdict.baseline)}"
    return f"{who}; the claim {claim_text(verdict.claim)} is {verdict.verdict}."


def _meaning(row: Mapping[str, Any]) -> str:
    return "; ".join(str(row[part]) for part in ("help", "unit", "range") if row[part])


def _joined(machine: Mapping[str, Any], *names: str) -> str:
    return ", ".join(str(machine[name]) for name in names if machine.get(name)) or "not known"
