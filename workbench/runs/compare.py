"""Put two runs, or the variants within one run, side by side.

Follows: asv: machines are kept apart; a verdict only where both sides ran interleaved.
Leaves out: drawing (workbench/report).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import polars as pl

from workbench.benchmark.statistics import MIN_EFFECT, MIN_ROUNDS, bootstrap_ratio, relation
from workbench.errors import UsageError
from workbench.runs import registry
from workbench.runs.params import closest
from workbench.runs.record import RunRecord

_KEYS = ("metric", "case", "variant", "tier", "unit")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes
    ----------
    run_a, run_b : RunRecord   the runs, in the order asked for
    metrics : frame            metric, case, variant, tier, unit, a, b (medians), n_a, n_b (rounds),
                               change (b / a - 1; null on different machines), differs
    params : frame             name, a, b (as text; null where a day has no such parameter), differs
    machines_differ : bool     then nothing is judged
    """

    run_a: RunRecord
    run_b: RunRecord
    metrics: pl.DataFrame
    params: pl.DataFrame
    machines_differ: bool


def compare(run_a: str, run_b: str) -> Comparison:
    """Compare two runs by their ids.

    Medians of two runs are not interleaved rounds, so a change is shown and never called faster
    or slower; ``differs`` only says that it is not within 2 %.

    Raises
    ------
    UsageError   if either run is not there
    """
    a, b = registry.find(run_a), registry.find(run_b)
    machines_differ = a.machine_id != b.machine_id
    rows = _medians(a, "a").join(_medians(b, "b"), on=_KEYS, how="full", coalesce=True)
    change = pl.when(pl.col("a") != 0).then(pl.col("b") / pl.col("a") - 1)
    near = (pl.col("a") == pl.col("b")) | (change.abs() < MIN_EFFECT - 1)
    metrics = rows.with_columns(
        change=pl.lit(None, pl.Float64) if machines_differ else change,
        differs=~near.fill_null(False),
    ).sort(_KEYS)
    return Comparison(a, b, metrics, _params(a, b), machines_differ)


def _medians(run: RunRecord, side: str) -> pl.DataFrame:
    values = pl.col("value")
    summary = (values.median().alias(side), values.count().cast(pl.Int64).alias(f"n_{side}"))
    return registry.metrics([run.run_id]).group_by(_KEYS).agg(summary)


def _params(a: RunRecord, b: RunRecord) -> pl.DataFrame:
    rows = [
        {"name": name, "a": _text(a.params, name), "b": _text(b.params, name)}
        for name in dict.fromkeys([*a.params, *b.params])
    ]
    schema = {"name": pl.String, "a": pl.String, "b": pl.String}
    frame = pl.DataFrame(rows, schema=schema)
    return frame.with_columns(differs=pl.col("a").ne_missing(pl.col("b")))


def _text(params: dict[str, object], name: str) -> str | None:
    return str(params[name]) if name in params else None


def compare_variants(run_id: str, metric: str, baseline: str) -> pl.DataFrame:
    """Compare every variant of one run's metric with its baseline, round by round.

    Returns
    -------
    frame   tier, case, variant, median, low, high, n_rounds, relation; the ratio is null where the
            rounds do not pair up or are fewer than 10

    Raises
    ------
    UsageError   if the run, the metric or the baseline is not there
    """
    run = registry.find(run_id)
    rows = registry.metrics([run.run_id])
    rows = rows.filter(metric=_known(metric, rows["metric"], "metric"))
    _known(baseline, rows["variant"], "variant")
    answers = []
    for (tier, case), group in rows.group_by("tier", "case", maintain_order=True):
        sides = group.partition_by("variant", as_dict=True)
        base = sides.pop((baseline,), None)
        for (variant,), contender in sides.items() if base is not None else ():
            place = {"tier": tier, "case": case, "variant": variant}
            answers.append({**place, **_ratio(contender, base, contended=run.contended)})
    return pl.DataFrame(answers, schema=_VARIANTS)


_VARIANTS = {
    "tier": pl.String,
    "case": pl.String,
    "variant": pl.String,
    "median": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_rounds": pl.Int64,
    "relation": pl.String,
}


def _ratio(
    contender: pl.DataFrame, baseline: pl.DataFrame | None, *, contended: bool
) -> dict[str, object]:
    assert baseline is not None
    paired = contender.join(baseline, on="repeat", suffix="_baseline").sort("repeat")
    if paired.height < max(MIN_ROUNDS, contender.height, baseline.height):
        return {"n_rounds": paired.height, "relation": "undecided"}
    ratio = bootstrap_ratio(paired["value"].to_numpy(), paired["value_baseline"].to_numpy())
    return {**asdict(ratio), "relation": "undecided" if contended else relation(ratio)}


def _known(name: str, names: pl.Series, kind: str) -> str:
    known = names.unique().sort().to_list()
    if name in known:
        return name
    guess = closest(name, known)
    hint = f"did you mean {guess}?" if guess else f"there are {', '.join(known) or 'none'}"
    raise UsageError(f"unknown {kind} {name}; {hint}")
