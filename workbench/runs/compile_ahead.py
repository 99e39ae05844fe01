"""Compile the kernels before the first day, on two cores, once: nothing is measured meanwhile.

Follows: Numba's cache, which keeps a function for as long as its file is as it was; what is called
here is what the days call, so that the kinds of arguments are theirs.
Leaves out: small kernels; the day that calls one compiles it, and its record says for how long.
"""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.runs.publish import write_atomic

MODEL = "smollm2-135m"
_STAMP = "compiled_ahead.txt"
_LIMIT_S = 600

Step = Callable[[], object]


class CompileAheadError(WorkbenchError):
    """A process that compiles kernels failed; each day then compiles what it calls."""


def _attention() -> object:
    """Compile attention to keys and values, however they are kept."""
    from kernels import attention

    return attention.ATTEND.address


def _codecs() -> object:
    """Encode and decode a frame with every codec."""
    from workbench.benchmark.codecs import codec_rates
    from workbench.tiering import compression
    from workbench.tiering.kv_geometry import KVGeometry
    from workbench.tiering.tiered_kv_cache import BlockLayout

    layout = BlockLayout(KVGeometry(1, 1, 64, "float16"))
    frames = codec_rates.random_frames(layout, 1, seed=0)
    return codec_rates.measure(layout, frames, list(compression.CODECS), rounds=1)


def _products() -> object:
    """Compile products with weights, however they lie."""
    from kernels import matrix

    return matrix.PRODUCT.address


def _passes() -> object:
    """Decode a token of the model, by both passes."""
    from workbench.benchmark.inference import decode_latency
    from workbench.inference.model_file import model_file

    model = model_file(MODEL)
    one = decode_latency.LatencyPlan(context_tokens=1, n_tokens=1)
    return [decode_latency.measure(model, one, exact=exact) for exact in (False, True)]


def _stores() -> object:
    """Store a few tokens in every way that Day 3 compares."""
    from workbench.benchmark.kv import store_ablation

    return store_ablation.measure_geometry("seed", store_ablation.AblationPlan(rounds=1))


def _memory() -> object:
    """Copy and read memory as Day 1 does."""
    from workbench.benchmark import memory_ceiling

    return memory_ceiling.measure(memory_mib=4, rounds=1, threads=(1,))


def _reads() -> None:
    """Gather keys and score them, as Days 4 and 23 do."""
    import numpy as np

    from kernels.record import all_kernels

    rng = np.random.default_rng(0)
    for name in ("block_gather_float16", "key_sketch"):
        kernel = all_kernels()[name]
        for variant in kernel.variants.values():
            variant(*kernel.make_inputs(rng, kernel.sizes[-1]))


def _engine() -> object:
    """Read a page by this machine's best engine."""
    from workbench.tiering.async_io.buffers import aligned_buffer
    from workbench.tiering.async_io.engine import Request
    from workbench.tiering.async_io.open_engine import open_engine

    with open_engine() as engine:
        file = engine.open(Path(__file__), writable=False)
        return engine.submit([Request("read", file, 0, aligned_buffer(4096))])


STEPS: Mapping[str, Step] = {
    "attention": _attention,
    "codecs": _codecs,
    "products": _products,
    "engine": _engine,
    "memory": _memory,
    "reads": _reads,
    "stores": _stores,
    "passes": _passes,
}
# A process each, of about the same length. No kernel is compiled by both: attention is there when
# passes need it, and two that write to one function's cache at a time could mix its kinds up.
PROCESSES = (("attention", "codecs", "engine", "memory"), ("products", "stores", "reads", "passes"))


def is_needed() -> bool:
    """Tell whether kernels have changed since `compile_all` last succeeded on this checkout."""
    stamp = _cache() / _STAMP
    return not stamp.is_file() or stamp.read_text(encoding="ascii") != _state()


def compile_all() -> None:
    """Take every step, in two processes, and remember that it is done.

    Raises
    ------
    CompileAheadError   if a process fails; the other one compiles its part all the same

    Cost    60 s of processor, half of that where there are two cores; 3 s when Numba's cache has
            it all.
    """
    state = _state()
    running = [_start(steps) for steps in PROCESSES]
    try:
        problems = [_ended(process) for process in running]
    finally:
        for process in running:
            process.kill()  # nothing, if it has ended
    if any(problems):
        raise CompileAheadError("; ".join(filter(None, problems)))
    with suppress(OSError):  # a cache that cannot be written keeps nothing, either
        _cache().mkdir(parents=True, exist_ok=True)
        write_atomic(_cache() / _STAMP, state.encode("ascii"))


def _start(steps: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *steps],
        cwd=paths.root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(process: subprocess.Popen[str]) -> str:
    """Wait for a process, and return what went wrong; "" if it took all its steps."""
    try:
        _, said = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"not all kernels were compiled ahead within {_LIMIT_S} s"
    if not process.returncode:
        return ""
    last = (said.strip().splitlines() or ["nothing was said"])[-1]
    return f"not all kernels could be compiled ahead: {last}"


def _cache() -> Path:
    """Return where Numba keeps what it compiles, if that can be written."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    return Path(named) if named else paths.root() / "kernels" / "__pycache__"


def _state() -> str:
    """Return what Numba goes by: the kernels' names, sizes and times, as 64 hex digits."""
    files = sorted((paths.root() / "kernels").glob("*.py"))
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((sys.version, facts)).encode()).hexdigest()


if __name__ == "__main__":
    gc.disable()  # a compiler makes much and drops little: a twentieth of its time
    for step in sys.argv[1:]:
        STEPS[step]()
