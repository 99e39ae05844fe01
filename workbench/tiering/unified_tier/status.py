"""Say how all tiers are: which work, why not, how full they are and how often they had a block.

Follows: one worst state for a person or a load balancer, one line a tier for whoever looks further.
Leaves out: finding it out (watch.py); each tier's own numbers (their stats.py).
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass

from workbench.tiering import exposition

_PREFIX = "unified_tier"


class Health(enum.StrEnum):
    """Whether a tier works: as it should, not in every way, not at all."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class TierStatus:
    """One tier.

    Attributes
    ----------
    name : str           "ram", "ssd" or "network"
    wanted : bool        whether it is configured
    health : Health
    reason : str         why it is not healthy, else ""
    used_bytes : int     of memory; of files; waiting for the network
    limit_bytes : int    what that may reach; 0: without a limit
    hit_rate : float     0..1, of the blocks that were looked for here; 0 before the first
    """

    name: str
    wanted: bool
    health: Health
    reason: str
    used_bytes: int
    limit_bytes: int
    hit_rate: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What the RAM budget is spent on, in bytes: weights, KV and buffers together.

    Attributes
    ----------
    weights_bytes : int        that weights may take; 0 where the model has no budget for them
    kv_bytes : int             that keys and values may take; what of it is not free is one of:
    in_use_bytes : int         blocks that open sequences are made of, full ones and open ones
    prompt_cache_bytes : int   full blocks that only wait to be found again
    buffers_bytes : int        of the tiers
    shared_bytes : int         what weights and KV share; 0: weights are not in the budget
    """

    weights_bytes: int
    kv_bytes: int
    in_use_bytes: int
    prompt_cache_bytes: int
    buffers_bytes: int
    shared_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """All tiers at one moment.

    Attributes
    ----------
    tiers : tuple of TierStatus    from the fastest to the farthest
    memory : Memory
    sessions : int                 open ones
    sessions_forgotten : int       named ones whose record could not be read
    split_moves : int              times that memory moved between weights and KV
    """

    tiers: tuple[TierStatus, ...]
    memory: Memory
    sessions: int
    sessions_forgotten: int
    split_moves: int

    def __getitem__(self, name: str) -> TierStatus:
        """Return a tier by name."""
        return next(tier for tier in self.tiers if tier.name == name)

    @property
    def health(self) -> Health:
        """Return "off" without memory, "degraded" if any tier that is wanted is not healthy."""
        if self["ram"].health is Health.OFF:
            return Health.OFF
        is_sound = all(one.health is Health.HEALTHY for one in self.tiers if one.wanted)
        return Health.HEALTHY if is_sound else Health.DEGRADED

    def record(self) -> dict[str, object]:
        """Return all of it as plain values, for JSON."""
        return {"health": self.health} | asdict(self)

    def prometheus(self) -> str:
        """Return all of it as Prometheus text."""
        lines = [exposition.typed(f"{_PREFIX}_health")]
        for tier in self.tiers:
            lines += [
                exposition.labelled(
                    f"{_PREFIX}_health", int(tier.health is one), tier=tier.name, health=one
                )
                for one in Health
            ]
        for name in ("used_bytes", "limit_bytes", "hit_rate"):
            lines.append(exposition.typed(f"{_PREFIX}_{name}"))
            lines += [
                exposition.labelled(f"{_PREFIX}_{name}", getattr(tier, name), tier=tier.name)
                for tier in self.tiers
            ]
        lines += exposition.gauges(f"{_PREFIX}_memory", asdict(self.memory))
        lines += exposition.gauges(_PREFIX, {"sessions": self.sessions})
        counts = {"sessions_forgotten": self.sessions_forgotten, "split_moves": self.split_moves}
        return exposition.page(lines + exposition.counters(_PREFIX, counts))
