"""Say why a block did not come over the network.

Follows: a tier may forget, it may never lie: each way of failing has its own counter.
Leaves out: counting (counters.py).
"""

from __future__ import annotations

import enum


class Miss(enum.Enum):
    """Why there is no block; the counters are named by these values."""

    ABSENT = "absent"  # the server has no such key
    PARTIAL = "partial"  # the first chunk is there, another one is not
    DAMAGED = "damaged"  # no frame, another frame, or a wrong sum
    WRONG_TYPE = "wrong_type"  # the key holds a list, a hash or the like
    TOO_LARGE = "too_large"  # more bytes than the caller takes
    FOREIGN = "foreign"  # of another model, tenant or codec
    LATE = "late"  # not here by the budget or the time-out
    FAILED = "failed"  # the connection could not be made, or broke
    LOADING = "loading"  # the server is up, but not ready
    MOVED = "moved"  # another node has the key now
    DENIED = "denied"  # the server answered with any other error
    REFUSED = "refused"  # not asked: the breaker is open, or the tier closed


# Those that say that an endpoint does not work; all others come from one that does.
OUTAGES = frozenset({Miss.LATE, Miss.FAILED, Miss.LOADING})


class MissError(Exception):
    """A request ended without a block."""

    def __init__(self, why: Miss, said: str = "") -> None:
        super().__init__(said or why.value)
        self.why = why


class BudgetError(MissError):
    """The caller had no more time: LATE, though the server may have been about to answer."""

    def __init__(self) -> None:
        super().__init__(Miss.LATE, "no answer within the caller's budget")
