"""Say how a network tier is, in numbers, and in Prometheus' text format.

Follows: every counter of counters.py, then the gauges.
Leaves out: the format (exposition.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from workbench.tiering import exposition
from workbench.tiering.distributed_tier.counters import Counts
from workbench.tiering.distributed_tier.miss import Miss

_PREFIX = "network_tier"


@dataclass(frozen=True, slots=True)
class NetworkStats:
    """One tier at one moment.

    Attributes
    ----------
    counts : Counts                       what happened since it was opened
    state : str                           "ok", "degraded", "full" or "closed"
    reason : str                          why it is not "ok", else ""
    nodes : tuple of (str, str)           each endpoint and its state: "ok", "full", "down"
    writes_waiting, writes_waiting_bytes  blocks in the write-back queue, the one in hand included
    flights                               blocks on their way
    pool_bytes                            memory kept for blocks on their way
    """

    counts: Counts
    state: str
    reason: str
    nodes: tuple[tuple[str, str], ...]
    writes_waiting: int
    writes_waiting_bytes: int
    flights: int
    pool_bytes: int

    def check(self) -> None:
        """Assert that every lookup and every put is counted once; only at rest it must hold."""
        counts = self.counts
        assert counts.hits + counts.misses == counts.lookups, counts
        assert sum(getattr(counts, f"misses_{why.value}") for why in Miss) == counts.misses, counts
        ended = counts.puts_written + counts.puts_failed + counts.puts_dropped
        ended += counts.puts_refused + counts.puts_too_large
        assert ended + self.writes_waiting == counts.puts, self

    def prometheus(self) -> str:
        """Return all numbers as Prometheus text."""
        lines = exposition.counters(_PREFIX, asdict(self.counts))
        lines += exposition.gauges(
            _PREFIX, {one.name: getattr(self, one.name) for one in fields(self)}
        )
        lines.append(exposition.typed(f"{_PREFIX}_up"))
        for node, state in self.nodes:
            lines.append(exposition.labelled(f"{_PREFIX}_up", int(state != "down"), node=node))
        lines += exposition.info(f"{_PREFIX}_state_info", state=self.state)
        return exposition.page(lines)
