"""`workbench list`: the days and experiments, what each asks, and how its last run ended.

Leaves out: single runs, which the report's index shows.
"""

from __future__ import annotations

from workbench.cli.output import JsonFlag, print_json, print_table


def command(json: JsonFlag = False) -> None:
    """List the days with their question, last result and its age."""
    from workbench.runs import registry
    from workbench.runs.days import DAYS, EXPERIMENTS
    from workbench.runs.summary import short_id
    from workbench.runs.words import age

    rows = []
    for day in (*DAYS.values(), *EXPERIMENTS.values()):
        last = next(iter(registry.runs(day.name)), None)
        rows.append(
            {
                "day": day.name,
                "question": day.question,
                "last": last.status if last else None,
                "verdict": last.verdict.verdict if last and last.verdict else None,
                "run": short_id(last) if last else None,
                "age": age(last.started) if last else None,
            }
        )
    if json:
        print_json(rows)
    else:
        print_table(rows)
