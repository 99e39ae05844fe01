"""Compare the most memory that our process ever takes with llama.cpp's, at the same context.

Follows: each engine in a fresh process: load, prefill to the context, decode a little; then the
kernel's own high-water mark of resident memory, interpreter and mapped files included.
Leaves out: the tiers' memory (Day 1's hot slab) and models larger than memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench import paths
from workbench.benchmark.inference.own_engine import random_ids
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import track
from workbench.errors import WorkbenchError
from workbench.inference.llama import available_threads

DECODED_TOKENS = 16
_LIMIT_S = 600
_WORKER = (
    "import json, sys; from pathlib import Path; "
    "from workbench.benchmark.inference import peak_memory; "
    "print(json.dumps(peak_memory.own_peak_bytes(Path(sys.argv[1]), *map(int, sys.argv[2:]))))"
)


class PeakError(WorkbenchError):
    """The process whose memory was to be measured failed."""


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Highest resident bytes of each run; the peer's are empty without it."""

    context_tokens: int
    ours_bytes: NDArray[np.float64]
    peer_bytes: NDArray[np.float64]


def measure(model: Path, context_tokens: int, runs: int, seed: int = 0) -> PeakMemory:
    """Run each engine so often, in turns.

    Raises
    ------
    PeakError   if our process fails
    PeerError   if llama.cpp fails

    Cost    per run one start, load and prefill of each engine.
    """
    ours, theirs = [], []
    for _ in track(range(runs), "peak memory", runs):
        ours.append(_own_peak_apart(model, context_tokens, seed))
        if LlamaCppPeer.available():
            theirs.append(_peer_peak(model, context_tokens, seed))
    return PeakMemory(context_tokens, np.array(ours, float), np.array(theirs, float))


def own_peak_bytes(model: Path, context_tokens: int, seed: int) -> int:
    """Compute in this process and return its highest resident memory, bytes."""
    from workbench.benchmark.inference.own_engine import OwnEngine
    from workbench.benchmark.peers.serving import memory

    with OwnEngine(_settings(model, context_tokens)) as engine:
        engine.prefill_seconds(random_ids(model, context_tokens, seed))
        engine.decode(DECODED_TOKENS)
    return memory()["peak_bytes"]


def _own_peak_apart(model: Path, context_tokens: int, seed: int) -> int:
    arguments = [str(model.absolute()), str(context_tokens), str(seed)]
    ended = subprocess.run(
        [sys.executable, "-c", _WORKER, *arguments],
        cwd=paths.root(),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise PeakError(f"the process whose memory was to be measured failed: {last}")
    return int(json.loads(ended.stdout.splitlines()[-1]))


def _peer_peak(model: Path, context_tokens: int, seed: int) -> int:
    with LlamaCppPeer(_settings(model, context_tokens)) as peer:
        peer.prefill_seconds(random_ids(model, context_tokens, seed))
        peer.decode(DECODED_TOKENS)
        return peer.memory().peak_bytes


def _settings(model: Path, context_tokens: int) -> PeerSettings:
    return PeerSettings(model, context_tokens + 2 * DECODED_TOKENS, available_threads())
