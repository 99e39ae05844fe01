"""Say in which tier a block was found.

Follows: two tiers; a block that is in neither is a miss, and no value of its own.
Leaves out: the network tier.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Tier(enum.Enum):
    """Where a block is."""

    HOT = "hot"
    COLD = "cold"


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
