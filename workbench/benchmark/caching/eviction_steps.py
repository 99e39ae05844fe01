"""Show one eviction after another: which block went, and which one MIN would have taken.

Follows: cache_simulation.py, stopped at every eviction; both choose among the same held blocks.
Leaves out: what a whole run in MIN's hands would have held instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from workbench.benchmark.caching import trace_sessions
from workbench.benchmark.caching.cache_simulation import make_policy
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.caching.trace_sessions import Sessions

N_STEPS = 60
_CAPACITY_BLOCKS = 24
# 8,192 tokens a block: four sessions are a little too much for so few blocks.
_SESSIONS = Sessions(4, within_s=900.0, merged_blocks=128)


@dataclass(frozen=True, slots=True)
class HeldBlock:
    """A block in the cache when another one needed its place.

    Attributes
    ----------
    block : int              its id
    last_request : int       number of the request that used it last
    next_request : int|None  number of the request that needs it next; None: none does
    """

    block: int
    last_request: int
    next_request: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One eviction.

    Attributes
    ----------
    number : int           1 for the first one
    request : int          number of the request that needed room
    incoming : int         the block that came
    held : tuple           the blocks that were held, the one used the longest ago first
    victim : HeldBlock     the one the policy took
    best : HeldBlock       the one MIN would have taken: needed the latest, or never
    """

    number: int
    request: int
    incoming: int
    held: tuple[HeldBlock, ...]
    victim: HeldBlock
    best: HeldBlock

    @property
    def is_as_good(self) -> bool:
        """Return whether the policy's choice is needed as late as MIN's."""
        return _later(self.victim) >= _later(self.best)


def record(trace: Trace, policy_name: str, capacity_blocks: int, n_steps: int) -> list[Step]:
    """Replay a trace until so many evictions have happened; fewer if it ends before.

    Raises
    ------
    UsageError   for an unknown policy or a capacity below 1

    Cost    O(requests + steps * capacity).
    """
    policy = make_policy(policy_name, capacity_blocks, trace)
    uses = _uses(trace)
    last_use: dict[int, int] = {}
    steps: list[Step] = []
    for number, request in enumerate(trace):
        for block in reversed(request.tolist()):
            if block in policy:
                policy.touch(block)
            else:
                if len(policy) == capacity_blocks:
                    held = _held(last_use, uses, number)
                    victim = policy.evict()
                    assert victim is not None, "nothing is pinned"
                    steps.append(_step(len(steps) + 1, number, block, held, victim))
                    del last_use[victim]
                policy.insert(block)
            # The one used last is the last one of the dict.
            last_use.pop(block, None)
            last_use[block] = number
            if len(steps) == n_steps:
                return steps
    return steps


@lru_cache(maxsize=32)
def of_sessions(policy_name: str, seed: int = 0) -> tuple[Step, ...]:
    """Return the first evictions on a few real sessions, in a cache small enough to be drawn.

    Raises
    ------
    DataError    if the sessions cannot be had
    UsageError   for an unknown policy
    """
    trace = trace_sessions.read(_SESSIONS, seed)
    return tuple(record(trace, policy_name, _CAPACITY_BLOCKS, N_STEPS))


def _uses(trace: Trace) -> dict[int, list[int]]:
    """Return the numbers of the requests that ask for each block."""
    uses = defaultdict(list)
    for number, request in enumerate(trace):
        for block in request.tolist():
            uses[block].append(number)
    return uses


def _held(last_use: dict[int, int], uses: dict[int, list[int]], now: int) -> list[HeldBlock]:
    held = []
    for block, last_request in last_use.items():
        # The request under way uses it still if it has not yet.
        after = now if last_request == now else now - 1
        at = bisect_right(uses[block], after)
        later = uses[block][at] if at < len(uses[block]) else None
        held.append(HeldBlock(block, last_request, later))
    return held


def _step(number: int, request: int, incoming: int, held: Sequence[HeldBlock], victim: int) -> Step:
    return Step(
        number,
        request,
        incoming,
        tuple(held),
        victim=next(one for one in held if one.block == victim),
        best=max(held, key=_later),
    )


def _later(block: HeldBlock) -> float:
    return float("inf") if block.next_request is None else block.next_request


def table(steps: Sequence[Step]) -> pl.DataFrame:
    """Return one row an eviction: what went, when it is needed again, and MIN's choice."""
    return pl.DataFrame(
        [
            {
                "eviction": step.number,
                "request": step.request,
                "block that came": step.incoming,
                "block that went": step.victim.block,
                "needed again": _when(step.victim, step.request),
                "MIN's choice": step.best.block,
                "needed again, MIN's": _when(step.best, step.request),
                "as good": step.is_as_good,
            }
            for step in steps
        ]
    )


def _when(block: HeldBlock, now: int) -> str:
    if block.next_request is None:
        return "never"
    ahead = block.next_request - now
    return "in this request" if not ahead else f"in {ahead} request{'s' * (ahead > 1)}"
