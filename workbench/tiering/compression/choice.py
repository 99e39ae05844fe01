"""Choose the codec that brings blocks into memory soonest on a device, at a stated quality.

Follows: reads and decoding overlap, so that a load takes as long as the slower of the two, and one
batch of the other; which codec wins depends on the device, not only on how small it makes blocks.
Leaves out: measuring the rates (workbench/benchmark), and writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class CodecRates:
    """What was measured of one codec.

    Attributes
    ----------
    name : str
    ratio : float         plain bytes over stored bytes, > 0
    decode_gb_s : float   plain GB a second; infinity where reads land in their place
    kl : float            mean KL divergence of next tokens, in nats; 0 for one that loses nothing
    """

    name: str
    ratio: float
    decode_gb_s: float
    kl: float


def load_seconds(
    codec: CodecRates, plain_bytes: float, read_gb_s: float, n_batches: int = 8
) -> float:
    """Return how long bringing plain bytes into memory takes, read and decoded in batches.

    Parameters
    ----------
    read_gb_s : float   of the device, stored bytes
    n_batches : int     one is decoded while the next is read
    """
    read_s = plain_bytes / codec.ratio / (read_gb_s * 1e9)
    decode_s = plain_bytes / (codec.decode_gb_s * 1e9)
    return max(read_s, decode_s) + min(read_s, decode_s) / n_batches


def choose(
    codecs: Sequence[CodecRates], plain_bytes: float, read_gb_s: float, kl_at_most: float
) -> CodecRates:
    """Return the codec that loads soonest among those that are good enough.

    Parameters
    ----------
    kl_at_most : float   the quality floor, in nats

    Raises
    ------
    UsageError   if no codec is good enough, or a rate is not positive
    """
    if read_gb_s <= 0 or any(one.ratio <= 0 or one.decode_gb_s <= 0 for one in codecs):
        raise UsageError(
            f"a codec cannot be chosen for read_gb_s={read_gb_s:g}: every rate and ratio must be "
            "above 0; measure them again"
        )
    good = [one for one in codecs if one.kl <= kl_at_most]
    if not good:
        least = min((one.kl for one in codecs), default=float("inf"))
        raise UsageError(
            f"no codec keeps kl_at_most={kl_at_most:g}, the best one has {least:g}; allow more, or "
            "add one that loses nothing"
        )
    return min(good, key=lambda one: load_seconds(one, plain_bytes, read_gb_s))
