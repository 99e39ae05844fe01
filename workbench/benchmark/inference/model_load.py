"""Time loading a model to its first token, beside llama.cpp, and compiling apart from both.

Follows: the file is in the page cache for both engines; each load frees the one before it.
Leaves out: cold files (weights_loading.py) and prompts (prefill_rates.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from workbench import paths
from workbench.benchmark.inference.own_engine import FIRST_ID, OURS, OwnEngine
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import meter
from workbench.errors import WorkbenchError
from workbench.inference.llama import available_threads

_COMPILE_LIMIT_S = 900
# Runs in a process of its own, with an empty cache of compiled kernels.
_COMPILING = (
    "import sys; from pathlib import Path; from kernels import compile_time; "
    "from workbench.benchmark.inference import model_load; "
    "model_load.load_once(Path(sys.argv[1])); print(compile_time.seconds())"
)


class CompileError(WorkbenchError):
    """Kernels could not be compiled anew in a process of their own."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What is loaded: room for so many tokens of context; rounds."""

    context_tokens: int
    rounds: int


def measure(model: Path, plan: LoadPlan) -> Samples:
    """Load to the first token in turns; work is one load each.

    Without llama.cpp there are rounds of ours alone.

    Raises
    ------
    PeerError     if llama.cpp fails
    GGUFError, UsageError   as the model raises them

    Cost    ``rounds + 1`` loads of both, 0.1 to 0.5 s each for the 135M model.
    """
    settings = PeerSettings(model, plan.context_tokens, available_threads())
    with ExitStack() as stack:
        ours = stack.enter_context(OwnEngine(settings))
        cases = [Case(OURS, lambda: _first_token(ours), 1.0)]
        if LlamaCppPeer.available():
            peer = stack.enter_context(LlamaCppPeer(settings))
            cases.append(Case(LlamaCppPeer.name, lambda: _peer_first_token(peer, settings), 1.0))
        with meter("load of the model", plan.rounds) as on_round:
            return interleave(cases, plan.rounds, on_round)


def _first_token(engine: OwnEngine) -> float:
    return engine.load_seconds() + engine.prefill_seconds([FIRST_ID])


def _peer_first_token(peer: LlamaCppPeer, settings: PeerSettings) -> float:
    return peer.load_seconds(settings) + peer.prefill_seconds([FIRST_ID])


def load_once(model: Path) -> None:
    """Load a model and compute one token, as a first use does."""
    with OwnEngine(PeerSettings(model, 128, available_threads())) as engine:
        engine.prefill_seconds([FIRST_ID])


def compile_s(model: Path) -> float:
    """Return the seconds that kernels take to compile when none is kept from earlier.

    Raises
    ------
    CompileError   if the process that compiles fails

    Cost    a minute or two of one core.
    """
    with tempfile.TemporaryDirectory() as cache:
        ended = subprocess.run(
            [sys.executable, "-c", _COMPILING, str(model.absolute())],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            cwd=paths.root(),
            capture_output=True,
            text=True,
            timeout=_COMPILE_LIMIT_S,
            check=False,
        )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise CompileError(f"kernels could not be compiled in a process of their own: {last}")
    return float(ended.stdout.split()[-1])
