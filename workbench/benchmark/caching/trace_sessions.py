"""Read coding-agent sessions and let several of them run side by side: the multi-turn workload.

Follows: callanjfox/kv-cache-tester: a JSON file a session, 64-token blocks whose ids count from 1
in each session; a subagent's requests are nested, their times relative to its start.
Leaves out: what sessions share, such as a system prompt, for their ids do not say so.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import datasets
from workbench.benchmark.caching.trace import Request, Trace, from_requests
from workbench.errors import DataError

DATA_SET = "kv-cache-tester"
_FILE_BLOCK_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Sessions:
    """Which sessions run, and how close to each other.

    Attributes
    ----------
    n_sessions : int     the first so many of the archive, at least 1
    within_s : float     sessions start at random moments within so many seconds
    merged_blocks : int  so many of the file's 64-token blocks make one; 8: 512 tokens, as Mooncake
    """

    n_sessions: int
    within_s: float = 3600.0
    merged_blocks: int = 8


def read(sessions: Sessions, seed: int) -> Trace:
    """Return the sessions as one trace, fetched if they are not there.

    Raises
    ------
    DataError   if they cannot be had, or are no such sessions

    Cost    0.05 s a session: the archive is read up to the last one wanted.
    """
    (path,) = datasets.get(DATA_SET)
    return parse(path, sessions, seed)


def parse(path: Path, sessions: Sessions, seed: int) -> Trace:
    """Return the trace that an archive of sessions holds.

    Raises
    ------
    DataError   with the member that is no session
    """
    rng = np.random.default_rng(seed)
    requests: list[Request] = []
    first_free_id = 0
    for requests_of_one in _sessions(path, sessions.n_sessions):
        start_s = rng.uniform(0, sessions.within_s)
        highest_id = 0
        for request in requests_of_one:
            highest_id = max(highest_id, *request.block_ids, 0)
            merged = _merged(request.block_ids, sessions.merged_blocks)
            ids = [block_id + first_free_id for block_id in merged]
            arrival_s = request.arrival_s + start_s
            requests.append(replace(request, arrival_s=arrival_s, block_ids=ids))
        first_free_id += highest_id + 1
    return from_requests(DATA_SET, _FILE_BLOCK_TOKENS * sessions.merged_blocks, requests)


def _merged(block_ids: Any, merged_blocks: int) -> Any:
    """Return one id for so many full blocks: the last one's, which stands for all before it."""
    return block_ids[merged_blocks - 1 :: merged_blocks]


def _sessions(path: Path, n_sessions: int) -> Iterator[list[Request]]:
    n_read = 0
    try:
        with tarfile.open(path, "r:xz") as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is None:
                    continue
                yield list(_requests(json.load(file)["requests"], 0.0))
                n_read += 1
                if n_read == n_sessions:
                    return
    except (ValueError, KeyError, TypeError, tarfile.TarError, EOFError) as error:
        raise DataError(
            f"{path.name}, session {n_read + 1}: cannot be read ({error!r}); "
            f"fetch it again with `workbench data get {DATA_SET} --verify`"
        ) from None


def _requests(entries: list[dict[str, Any]], start_s: float) -> Iterator[Request]:
    for entry in entries:
        at_s = start_s + entry["t"]
        if "requests" in entry:
            yield from _requests(entry["requests"], at_s)
        else:
            yield Request(at_s, entry["in"], entry["out"], entry["hash_ids"])
