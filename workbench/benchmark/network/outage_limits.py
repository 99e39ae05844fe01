"""Hold what an outage cost against its limits, a line each: held or missed.

Follows: the limits of `workbench bench network_faults`; every request counts, not the median one.
Leaves out: the measuring (server_died.py, network_outage.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from workbench.benchmark.network.network_outage import FIRST, Outage
from workbench.benchmark.network.server_died import FROZEN, ServerDied

FIRST_LIMIT_S, LATER_LIMIT_S, RECOVERY_LIMIT_S = 0.06, 0.001, 2.0


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what of, how long at most, the worst and the median that was seen; in seconds."""

    what: str
    most_s: float
    worst_s: float
    median_s: float

    @property
    def is_held(self) -> bool:
        """Return whether even the worst is within the limit."""
        return self.worst_s <= self.most_s


def limits(died: ServerDied, outage: Outage) -> list[Limit]:
    """Return all limits, of the real model's requests and of bare blocks."""
    frozen = died.waits_s(FROZEN)
    found = [
        ("real model, frozen: first three requests", FIRST_LIMIT_S, frozen[:FIRST]),
        ("real model, frozen: later requests", LATER_LIMIT_S, frozen[FIRST:]),
        ("real model: until seen again", RECOVERY_LIMIT_S, [*died.seen_again_s.values()]),
        ("64 KiB blocks, frozen: first three", FIRST_LIMIT_S, outage.first_s.ravel().tolist()),
        ("64 KiB blocks, frozen: slowest later one", LATER_LIMIT_S, outage.later_s.tolist()),
        ("64 KiB blocks: until the first hit", RECOVERY_LIMIT_S, outage.recovery_s.tolist()),
    ]
    return [
        Limit(what, most_s, max(seconds), sorted(seconds)[len(seconds) // 2])
        for what, most_s, seconds in found
    ]


def table(found: list[Limit], died: ServerDied) -> pl.DataFrame:
    """Return a line a limit, and one for the answers."""
    lines: list[dict[str, object]] = [
        {
            "a dead server": limit.what,
            "limit, ms": 1e3 * limit.most_s,
            "median, ms": 1e3 * limit.median_s,
            "worst, ms": 1e3 * limit.worst_s,
            "held": "yes" if limit.is_held else "no",
        }
        for limit in found
    ]
    is_same = died.n_different == 0
    said = f"answers that differ in any bit: {died.n_different} of {len(died.served)}"
    lines.append({"a dead server": said, "held": "yes" if is_same else "no"})
    return pl.DataFrame(lines, infer_schema_length=None)


def sentence(found: list[Limit], died: ServerDied) -> str:
    """Say what a dead server cost, for the verdict."""
    missed = [limit.what for limit in found if not limit.is_held]
    if died.n_different:
        missed.append(f"{died.n_different} answers differ")
    if not missed:
        return (
            "A dead server costs only misses: every limit is held, every answer equal to the bit."
        )
    return f"Of what a dead server may cost, missed: {'; '.join(missed)}."
