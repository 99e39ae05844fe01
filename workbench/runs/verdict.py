"""Turn a measured ratio and a claim into a verdict, and a verdict into a run's status.

Follows: benchmark/statistics for the judging; runs that were contended prove nothing.
Leaves out: measuring.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from workbench.benchmark.statistics import Claim, Ratio
from workbench.runs.record import RatioRecord, Status, VerdictRecord

CONTENDED = "other runs measured at the same time, so the verdict does not count"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared: a metric, the contender's variant and the baseline's."""

    metric: str
    contender: str
    baseline: str


def judge(
    compared: Comparison, ratio: Ratio, claim: str, *, sentence: str = "", contended: bool = False
) -> VerdictRecord:
    """Return the verdict on a claim such as ``">= 2x"``; a contended run is always undecided.

    Raises
    ------
    ValueError   if the claim is not of that form
    """
    parsed = Claim.parse(claim)
    return VerdictRecord(
        metric=compared.metric,
        claim=str(parsed),
        contender=compared.contender,
        baseline=compared.baseline,
        ratio=RatioRecord(**asdict(ratio)),
        verdict="undecided" if contended else parsed.judge(ratio),
        sentence=sentence,
    )


def status_of(verdict: VerdictRecord | None, *, contended: bool) -> tuple[Status, str]:
    """Return status and reason of a run that came to its end."""
    if verdict is None:
        return "ok", ""
    if contended:
        return "undecided", CONTENDED
    if verdict.verdict == "holds":
        return "ok", ""
    return verdict.verdict, verdict.sentence
