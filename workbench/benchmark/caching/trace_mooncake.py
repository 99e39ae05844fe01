"""Read Mooncake's open traces of a production KV cache.

Follows: FAST25-release/traces of kvcache-ai/Mooncake: a JSON object a line, 512-token blocks.
Leaves out: fetching (workbench/datasets).
"""

from __future__ import annotations

import json
from pathlib import Path

from workbench import datasets
from workbench.benchmark.caching.trace import Request, Trace, from_requests
from workbench.errors import DataError

BLOCK_TOKENS = 512


def read(name: str) -> Trace:
    """Return a trace, fetched if it is not there.

    Parameters
    ----------
    name : str   of the data manifest, ``"mooncake-conversation"`` or ``"mooncake-synthetic"``

    Raises
    ------
    UsageError   if the manifest has no such data set
    DataError    if it cannot be had, or is no such trace
    """
    (path,) = datasets.get(name)
    return parse(name, path)


def parse(name: str, path: Path) -> Trace:
    """Return the trace that a file holds.

    Raises
    ------
    DataError   with the line that is no request
    """
    requests = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            requests.append(
                Request(
                    record["timestamp"] / 1000,
                    record["input_length"],
                    record["output_length"],
                    record["hash_ids"],
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path.name}, line {number}: no request of a Mooncake trace ({error!r}); "
                f"fetch it again with `workbench data get {name} --verify`"
            ) from None
    return from_requests(name, BLOCK_TOKENS, requests)
