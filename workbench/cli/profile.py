"""`workbench profile`: where a day's or another verb's time goes.

Leaves out: how it is found out (workbench/runs/profile) and the page (workbench/report).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import JsonFlag, print_json
from workbench.cli.run import LabelOption, ParamOption, PresetOption, TimeoutOption
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.runs.profile.session import Profiled
    from workbench.runs.profile.target import Target

TargetArgument = Annotated[
    str, typer.Argument(metavar="DAY|VERB", help="For example day01, or generate.")
]
WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="-- ARGS", help="What the verb is told.")
]
RateOption = Annotated[int, typer.Option(min=1, max=1000, help="Samples a second.")]
CompareFlag = Annotated[
    bool, typer.Option(help="Run it without the sampler, too: for the overhead and the counters.")
]


def command(
    target: TargetArgument,
    words: WordsArgument = None,
    param: ParamOption = None,
    preset: PresetOption = None,
    timeout: TimeoutOption = None,
    rate: RateOption = 50,
    compare: CompareFlag = True,
    label: LabelOption = "",
    json: JsonFlag = False,
) -> None:
    """Sample a day's notebook, or `workbench VERB ARGS`, into a flame graph.

    Results of the profiled command itself are thrown away. On macOS py-spy needs sudo; Apple's own
    profiler does the same: xctrace record --template 'Time Profiler' --launch -- .venv/bin/python
    -m workbench run DAY
    """
    chosen = _target(target, words or [], param or [], preset, timeout)

    from workbench.runs.profile import session

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    done = session.profile(session.Request(chosen, rate, compare, label), say)
    if json:
        print_json(done.record.model_dump(mode="json"))
    else:
        print("\n".join(_told(done)))
    raise typer.Exit(done.record.exit_code)


def _target(
    name: str,
    words: Sequence[str],
    param: Sequence[str],
    preset: str | None,
    timeout: int | None,
) -> Target:
    from workbench.runs.days import find_day
    from workbench.runs.params import parse_overrides
    from workbench.runs.profile import target

    if (day := find_day(name)) is not None:
        if words:
            raise UsageError(
                f"{shlex.join(words)}: a day takes options, -p NAME=VALUE and --preset"
            )
        params = parse_overrides(day.params, param, preset)
        return target.of_day(day, params, timeout)
    if param or preset or timeout:
        raise UsageError(f"-p, --preset and --timeout are for days; give {name}'s own behind --")
    _check_verb(name)
    return target.Target(name, (name, *words))


def _check_verb(name: str) -> None:
    from workbench.cli import app
    from workbench.runs.days import DAYS
    from workbench.runs.params import closest

    verbs = [one.name or "" for one in app.registered_commands]
    verbs += [one.name or "" for one in app.registered_groups]
    if name in verbs and name != "profile":
        return
    guess = closest(name, [*DAYS, *verbs])
    hint = f"did you mean {guess}?" if guess else f"there are {', '.join([*DAYS, *verbs])}"
    raise UsageError(f"cannot profile {name}; {hint}")


def _told(done: Profiled) -> list[str]:
    from workbench.profiling.flame import ranked
    from workbench.runs.summary import short_id
    from workbench.runs.words import duration

    record, profile = done.record, done.profile
    lines = [f"{record.status}: profile {record.run_id}, {duration(record.wall_s or 0)}"]
    if record.reason:
        lines.append(f"  reason    {record.reason}")
    if profile is None:
        return lines
    rows = ranked(profile.sampled())
    whole = sum(row.own_s for row in rows) or 1.0
    lines += [
        f"  {row.own_s / whole:7.1%}   {row.frame.name} ({row.frame.place})" for row in rows[:5]
    ]
    if profile.overhead_frac is not None:
        lines.append(f"  overhead  {profile.overhead_frac:+.1%} wall time while sampled")
    if profile.counters_reason:
        lines.append(f"  counters  {profile.counters_reason}")
    return [*lines, f"  report    workbench report {short_id(record)}"]
