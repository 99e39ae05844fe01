"""Answer calls that come as JSON lines on standard input: the worker's half of a peer.

Follows: one line a call, {"do": name, "with": {...}}, and one line an answer, {"ok": value} or
{"error": text}. Only the standard library is used: workers run in other environments.
Leaves out: what the calls do (llama_cpp_worker.py, torch_worker.py).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

Calls = Mapping[str, Callable[..., object]]


def serve(calls: Calls) -> None:
    """Answer until standard input ends.

    Parameters
    ----------
    calls : mapping    name -> function of keyword arguments; what it returns must be JSON
    """
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(calls, line)), file=answers, flush=True)


def answer(calls: Calls, line: str) -> dict[str, object]:
    """Make one call and return its answer."""
    call = json.loads(line)
    if call["do"] not in calls:
        return {"error": f"no call {call['do']!r}; there are {', '.join(calls)}"}
    try:
        return {"ok": calls[call["do"]](**call["with"])}
    except Exception as error:  # an engine of others may raise anything; the caller decides
        return {"error": f"{type(error).__name__}: {error}"}


def memory() -> dict[str, int]:
    """Return this process's memory: resident, its anonymous part, and the highest resident, bytes.

    Where the system does not tell (macOS), all are the highest resident.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return dict.fromkeys(("resident_bytes", "anonymous_bytes", "peak_bytes"), peak)
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    names = {"resident_bytes": "VmRSS", "anonymous_bytes": "RssAnon", "peak_bytes": "VmHWM"}
    return {name: int(fields[field].split()[0]) << 10 for name, field in names.items()}
