"""The page of one profile: the flame graph, the functions in a table, phases, counters, overhead.

Follows: UX.md C3, the order of a report: what was found first, what it was found with last.
Leaves out: how it was found out (workbench/runs/profile).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from markupsafe import Markup

from workbench.profiling import counters
from workbench.profiling.flame import Ranked, ranked, tree
from workbench.profiling.frames import Kind
from workbench.report import facts, shell
from workbench.report.flame_graph import LEAST_FRAC, flame_html
from workbench.report.numbers import duration, number, quantity
from workbench.report.status import status_of
from workbench.report.tables import table_html
from workbench.runs.profile.profile_file import Profile
from workbench.runs.record import RunRecord

MAX_FUNCTIONS = 40
_KINDS: dict[Kind, str] = {
    "kernel": "compiled kernel",
    "project": "this project",
    "cell": "notebook cell",
    "package": "Python or a package",
    "native": "C library",
}
Fact = tuple[str, str]


def render_profile(record: RunRecord, profile: Profile, home: str | None = None) -> str:
    """Return the page of a profile, whole and self-contained.

    Parameters
    ----------
    record : RunRecord   of kind "profile"
    profile : Profile    what was sampled
    home : str           file name of the index beside the page, or None: it stands alone
    """
    stacks = profile.sampled()
    root, rows = tree(stacks), ranked(stacks)
    return shell.render(
        "profile.html.j2",
        title=f"Profile of {profile.command}",
        home=home,
        record=record,
        status=status_of(record),
        sentence=_sentence(rows, root.seconds),
        facts=_sampling(profile, root.seconds),
        flame=flame_html(root, _alternative(rows, root.seconds)) if rows else None,
        kinds=[(kind, text) for kind, text in _KINDS.items() if _has(rows, kind)],
        least=f"{LEAST_FRAC:.2%}".replace("%", "\N{NO-BREAK SPACE}%"),
        functions=_functions(rows, root.seconds),
        n_functions=len(rows),
        most_functions=MAX_FUNCTIONS,
        **_phases(profile),
        counters=[(name, f"{count:,}") for name, count in profile.counters.items()],
        per_cycle=_per_cycle(profile.counters),
        counters_reason=profile.counters_reason,
        environment=facts.environment(record),
        appendix=facts.appendix(record),
        command=_command(record, profile),
    )


def _command(record: RunRecord, profile: Profile) -> str:
    """Return the command that profiles this again."""
    words = profile.command.split(" ", 2)
    is_day = words[1:2] == ["run"] and len(words) > 2
    again = words[2] if is_day else " -- ".join(words[1:])
    return f"workbench profile --rate {profile.rate_hz} {again}"


def _share(seconds: float, whole_s: float) -> str:
    return f"{seconds / whole_s * 100:.1f}\N{NO-BREAK SPACE}%" if whole_s else "0 %"


def _sentence(rows: Sequence[Ranked], whole_s: float) -> str:
    if not rows:
        return "No sample was taken: the command ended before the first, or was never awake."
    first = rows[0]
    return (
        f"{first.frame.name} took most time in itself, {_share(first.own_s, whole_s)} of the "
        f"{duration(whole_s)} that threads were seen awake."
    )


def _alternative(rows: Sequence[Ranked], whole_s: float) -> str:
    longest = ", ".join(f"{row.frame.name} {_share(row.own_s, whole_s)}" for row in rows[:3])
    return f"Flame graph. Longest in themselves: {longest}. The table of functions holds the rest."


def _has(rows: Sequence[Ranked], kind: Kind) -> bool:
    return any(row.frame.kind == kind for row in rows)


def _sampling(profile: Profile, whole_s: float) -> list[Fact]:
    n_awake = profile.n_samples - profile.n_waiting
    native = "C and compiled code too" if profile.native else "Python only"
    return [
        ("Sampled by", f"{profile.sampler}, {native}"),
        ("Rate", f"{profile.rate_hz} a second and thread"),
        ("Samples awake", f"{n_awake:,} of {profile.n_samples:,}"),
        ("Not readable", f"{profile.n_errors:,}"),
        ("Time awake, all threads", duration(whole_s)),
        ("Wall time, sampled", duration(profile.profiled_s)),
        ("Wall time without", ", ".join(map(duration, profile.plain_s)) or "not measured"),
        ("Overhead", _overhead(profile)),
    ]


def _overhead(profile: Profile) -> str:
    frac = profile.overhead_frac
    if frac is None:
        return "not measured"
    against = "" if len(profile.plain_s) == 1 else ", against the quicker plain run"
    noise = ", so less than the noise" if frac < 0 else ""
    return f"{frac:+.0%} wall time{against}{noise}"


def _functions(rows: Sequence[Ranked], whole_s: float) -> Markup | None:
    if not rows:
        return None
    frame = pl.DataFrame(
        {
            "Function": [row.frame.name for row in rows[:MAX_FUNCTIONS]],
            "Of": [row.frame.place for row in rows[:MAX_FUNCTIONS]],
            "Kind": [_KINDS[row.frame.kind] for row in rows[:MAX_FUNCTIONS]],
            "Self (%)": [row.own_s / whole_s * 100 for row in rows[:MAX_FUNCTIONS]],
            "Self (s)": [row.own_s for row in rows[:MAX_FUNCTIONS]],
            "Total (%)": [row.total_s / whole_s * 100 for row in rows[:MAX_FUNCTIONS]],
        }
    )
    return _table(frame, "Functions by the time in themselves")


def _phases(profile: Profile) -> dict[str, Any]:
    usage = profile.usage
    if usage is None:
        return {"phases": None, "usage": ()}
    wall_ns = usage.wall_s * 1e9 or 1.0
    rows = profile.phases
    frame = pl.DataFrame(
        {
            "Phase": [row.name for row in rows],
            "Calls": [row.calls for row in rows],
            "Own time (ms)": [row.own_ns / 1e6 for row in rows],
            "With nested (ms)": [row.whole_ns / 1e6 for row in rows],
            "Own, of wall (%)": [row.own_ns / wall_ns * 100 for row in rows],
            "Minor faults": [row.minor_faults for row in rows],
            "Major faults": [row.major_faults for row in rows],
        }
    )
    faults_s = usage.minor_faults * profile.fault_us / 1e6
    told = [
        ("Wall time of the process", duration(usage.wall_s)),
        ("CPU, own code", duration(usage.user_s)),
        ("CPU, kernel", duration(usage.system_s)),
        ("Page faults, minor", number(usage.minor_faults)),
        ("Page faults, major", number(usage.major_faults)),
        ("One minor fault here", quantity(profile.fault_us, "us")),
        ("Minor faults together, about", duration(faults_s)),
    ]
    table = _table(frame, "Time by phase, threads added up") if rows else None
    return {"phases": table, "usage": told}


def _per_cycle(counts: Mapping[str, int]) -> str:
    instructions, cycles = (counts.get(name) for name in counters.EVENTS[:2])
    return number(instructions / cycles) if instructions and cycles else ""


def _table(frame: pl.DataFrame, caption: str) -> Markup:
    return Markup(f'<div class="scroll">{table_html(frame, caption)}</div>')
