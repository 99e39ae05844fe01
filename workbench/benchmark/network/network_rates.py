"""Time blocks that come over the network tier beside the raw client's GETs of the same values.

Follows: both ask the same embedded server over loopback, in the same interleaved rounds; the raw
client is valkey-py, one connection, a GET for each value, nothing verified.
Leaves out: real networks, whose bandwidth hides what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.retry import Retry

from workbench.benchmark.paired import Case, Samples, interleave, timed
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig
from workbench.tiering.distributed_tier.wire_form import chunk_name

RAW = "raw GET"
RAW_AGAIN = "raw GET again"
ONE = "one at a time"
BATCH = "in one call"
NAMESPACE = "bench"
# A busy machine must not turn a slow block into a missing one.
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class RatesPlan:
    """How much to move.

    Attributes
    ----------
    block_bytes : int   of each value
    blocks : int        values a round
    rounds : int
    """

    block_bytes: int
    blocks: int
    rounds: int


def measure(plan: RatesPlan, on_round: Callable[[int], None] | None = None) -> Samples:
    """Return the seconds of every case; one unit of work is a byte.

    Raises
    ------
    RuntimeError   if a block did not come: then there is nothing to time
    """
    size = plan.block_bytes * plan.blocks
    config = {"connect_timeout_s": _PATIENCE_S, "op_timeout_s": _PATIENCE_S}
    with EmbeddedServer(max(256 << 20, 4 * size)) as server:
        settings = NetworkTierConfig(
            server.url,
            namespace=NAMESPACE,
            write_queue_bytes=max(64 << 20, 2 * size),
            write_queue_blocks=plan.blocks,
            **config,  # type: ignore[arg-type]
        )
        with NetworkTier.open(settings, required=True) as tier, _raw_client(server) as client:
            keys = store_blocks(tier, plan)
            names = value_names(keys, plan.block_bytes, settings.chunk_bytes)
            room = np.zeros((plan.blocks, plan.block_bytes), np.uint8)
            cases = [
                (RAW, partial(_raw, client, names)),
                (ONE, partial(_one_by_one, tier, keys, room)),
                (BATCH, partial(_batch, tier, keys, room)),
                (RAW_AGAIN, partial(_raw, client, names)),
            ]
            timings = [Case(name, timed(run), size) for name, run in cases]
            return interleave(timings, plan.rounds, on_round)


def _raw_client(server: EmbeddedServer) -> Valkey:
    return Valkey(port=server.port, retry=Retry(NoBackoff(), 0), socket_timeout=_PATIENCE_S)


def store_blocks(tier: NetworkTier, plan: RatesPlan) -> list[bytes]:
    """Write random blocks to the server and return their keys.

    Raises
    ------
    RuntimeError   if the server did not take them
    """
    rng = np.random.default_rng(24)
    keys = [rng.bytes(32) for _ in range(plan.blocks)]
    puts = [tier.put(key, rng.bytes(plan.block_bytes)) for key in keys]
    if not all(puts) or not tier.flush(60.0):
        raise RuntimeError("the embedded server did not take the blocks")
    return keys


def value_names(keys: list[bytes], block_bytes: int, chunk_bytes: int) -> list[bytes]:
    """Return the names of the values that blocks lie in, block by block."""
    numbers = range(-(-block_bytes // chunk_bytes))
    return [chunk_name(NAMESPACE.encode(), key, number) for key in keys for number in numbers]


def _raw(client: Valkey, names: list[bytes]) -> None:
    for name in names:
        if client.get(name) is None:
            raise RuntimeError("the server forgot a value")


def _one_by_one(tier: NetworkTier, keys: list[bytes], room: np.ndarray) -> None:
    for key, place in zip(keys, room, strict=True):
        if tier.get(key, place.data) is None:
            raise RuntimeError("the network tier missed a block")


def _batch(tier: NetworkTier, keys: list[bytes], room: np.ndarray) -> None:
    if None in tier.get_many(keys, [place.data for place in room]):
        raise RuntimeError("the network tier missed a block")
