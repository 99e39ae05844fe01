"""Hold a trace of requests: when each arrived, how long it was, which blocks its prompt is made of.

Follows: Mooncake's open traces (FAST'25), whose block ids stand for a block and all before it.
Leaves out: reading (trace_mooncake.py, trace_sessions.py) and replaying (cache_simulation.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.eviction.min import NEVER


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order of their arrival.

    Attributes
    ----------
    name : str                          where it is from
    block_tokens : int                  tokens a block
    arrival_s : float64[n_requests]     seconds from the first request, ascending
    input_tokens : int64[n_requests]    tokens of the prompt
    output_tokens : int64[n_requests]   tokens that were generated
    starts : int64[n_requests + 1]      where a request's blocks start within ``block_ids``
    block_ids : int64[n_references]     blocks of all prompts, request by request, first one first;
                                        equal ids mean equal tokens from the prompt's start on
    """

    name: str
    block_tokens: int
    arrival_s: NDArray[np.float64]
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    block_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Give each request's blocks, int64[n_blocks]."""
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield self.block_ids[start:stop]

    @property
    def n_references(self) -> int:
        """Return the number of block references of all requests."""
        return len(self.block_ids)

    @property
    def n_distinct(self) -> int:
        """Return the number of different blocks."""
        return len(np.unique(self.block_ids))

    def head(self, n_requests: int) -> Trace:
        """Return the first requests only."""
        n = min(max(n_requests, 0), len(self))
        stop = int(self.starts[n])
        return Trace(
            self.name,
            self.block_tokens,
            self.arrival_s[:n],
            self.input_tokens[:n],
            self.output_tokens[:n],
            self.starts[: n + 1],
            self.block_ids[:stop],
        )

    def next_uses(self) -> NDArray[np.int64]:
        """Return when each reference's block is referred to again, as a position, or `NEVER`.

        Returns
        -------
        next_uses : int64[n_references]   in the order of a cache's calls: requests as they arrive,
                                          each one's blocks deepest first
        """
        order = np.argsort(self.block_ids, kind="stable")
        again = self.block_ids[order][1:] == self.block_ids[order][:-1]
        next_uses = np.full(self.n_references, NEVER)
        next_uses[order[:-1][again]] = order[1:][again]
        return next_uses[self._deepest_first()]

    def _deepest_first(self) -> NDArray[np.int64]:
        """Return every reference's position, each request's in reverse."""
        position = np.arange(self.n_references)
        n_blocks = np.diff(self.starts)
        first = np.repeat(self.starts[:-1], n_blocks)
        last = np.repeat(self.starts[1:], n_blocks) - 1
        return first + last - position


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as a reader finds it; the parts of `Trace`, one by one."""

    arrival_s: float
    input_tokens: int
    output_tokens: int
    block_ids: Sequence[int]


def from_requests(name: str, block_tokens: int, requests: Sequence[Request]) -> Trace:
    """Build a trace; requests are ordered by arrival, those of one moment as they were given."""
    ordered = sorted(requests, key=lambda request: request.arrival_s)
    n_blocks = np.array([len(request.block_ids) for request in ordered], np.int64)
    arrival_s = np.array([request.arrival_s for request in ordered], np.float64)
    ids = [np.asarray(request.block_ids, np.int64) for request in ordered]
    return Trace(
        name=name,
        block_tokens=block_tokens,
        arrival_s=arrival_s - (arrival_s[0] if ordered else 0.0),
        input_tokens=np.array([request.input_tokens for request in ordered], np.int64),
        output_tokens=np.array([request.output_tokens for request in ordered], np.int64),
        starts=np.concatenate([[0], np.cumsum(n_blocks)]).astype(np.int64),
        block_ids=np.concatenate([*ids, np.empty(0, np.int64)]),
    )
