"""Say in which tier a block was found.

Follows: three tiers; a block that is in none is a miss, and no value of its own.
Leaves out: blocks that came over the network earlier: they are cold ones, like any other.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Tier(enum.Enum):
    """Where a block is."""

    HOT = "hot"
    COLD = "cold"
    NETWORK = "network"


class Found(NamedTuple):
    """A block that was asked for.

    Attributes
    ----------
    key : bytes          of the block
    tier : Tier          where it was
    fill : int or None   the slot its bytes are to be read into; None: they are here, or stay cold
    """

    key: bytes
    tier: Tier
    fill: int | None
