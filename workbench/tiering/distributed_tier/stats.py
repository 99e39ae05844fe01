"""Say how a network tier is, in numbers, and in Prometheus' text format.

Follows: Prometheus exposition format 0.0.4; every counter of counters.py, then the gauges.
Leaves out: serving the text over HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

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
        lines = []
        for field in fields(Counts):
            name = f"{_PREFIX}_{field.name}_total"
            lines += [f"# TYPE {name} counter", f"{name} {getattr(self.counts, field.name)}"]
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int):
                name = f"{_PREFIX}_{field.name}"
                lines += [f"# TYPE {name} gauge", f"{name} {value}"]
        name = f"{_PREFIX}_up"
        lines.append(f"# TYPE {name} gauge")
        for node, state in self.nodes:
            lines.append(f'{name}{{node="{_escaped(node)}"}} {int(state != "down")}')
        name = f"{_PREFIX}_state_info"
        lines += [f"# TYPE {name} gauge", f'{name}{{state="{self.state}"}} 1']
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
