"""Kill a working process, at random moments and at its N-th system call, and count what is left.

Follows: RocksDB's db_crashtest and SQLite's writecrash; strace's fault injection.
Leaves out: what power loss does (power_loss.py): a killed process loses no completed write.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.torture import workload
from tests.torture.history import History, Verdict, judge

ENABLE_STRACE = "strace is not on PATH: apt-get install strace"
# The calls that change the disk, and how far on in a worker's life each is looked for.
CALLS = {"pwritev": 60, "fdatasync": 30, "fsync": 4, "renameat": 3, "unlinkat": 2, "fallocate": 3}
RING_CALLS = {"io_uring_enter": 90, "fsync": 4, "renameat": 3, "fallocate": 3}
_LONGEST_S = 1.5


def strace_works() -> bool:
    """Return whether strace is there and may attach to a child."""
    if shutil.which("strace") is None:
        return False
    child = os.fork()
    if child == 0:
        time.sleep(5)
        os._exit(0)
    try:
        tracer = _attach(child, "getpid", 1)
        works = tracer is not None
        if tracer is not None:
            os.kill(child, signal.SIGKILL)
            tracer.communicate()
    finally:
        _end(child)
    return works


class Series:
    """Many kills of one store that is never thrown away; every one is judged.

    Attributes
    ----------
    killed : int     kills so far
    at_calls : int   among them: by strace, at the very call; the others came too late for it
    """

    def __init__(self, folder: Path, kind: str, seed: int, is_sealed: bool = False) -> None:
        self._folder = folder
        self._kind = kind
        self._is_sealed = is_sealed
        self._rng = random.Random(seed)
        self._version = 0
        workload.warm_up(kind)
        self._known: dict[bytes, set[bytes | None]] = {}
        self.killed = 0
        self.at_calls = 0

    def random_moments(self, n: int) -> Iterator[Verdict]:
        """Kill at random moments of the first tenths of a second, opening included."""
        for _ in range(n):
            child, pipe, go = self._start()
            os.write(go, b"g")
            os.close(go)
            told = _drain(pipe, self._rng.uniform(0.0, 0.25))
            os.kill(child, signal.SIGKILL)
            yield self._judge(child, pipe, told)

    def system_calls(self, n: int, calls: Mapping[str, int] | None = None) -> Iterator[Verdict]:
        """Kill at the N-th call of one kind, as strace sees them.

        Parameters
        ----------
        calls : dict or None   which calls, and how far on in a worker's life at most; None: all
                               that change the disk
        """
        calls = calls or (RING_CALLS if self._kind == "io_uring" else CALLS)
        for _ in range(n):
            child, pipe, go = self._start()
            call = self._rng.choice(list(calls))
            tracer = _attach(child, call, self._rng.randint(1, calls[call]))
            os.write(go, b"g")
            os.close(go)
            start = time.monotonic()
            told = _drain(pipe, _LONGEST_S)
            self.at_calls += time.monotonic() - start < _LONGEST_S
            os.kill(child, signal.SIGKILL)
            verdict = self._judge(child, pipe, told)
            if tracer is not None:
                tracer.communicate()
            yield verdict

    def _start(self) -> tuple[int, int, int]:
        """Fork a worker that waits for a byte; return it, its pipe, and where the byte goes."""
        told_read, told_write = os.pipe()
        go_read, go_write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told_read)
            os.close(go_write)
            try:
                os.read(go_read, 1)
                seed = self._rng.getrandbits(32)
                opens = workload.opener(self._folder, self._kind, self._is_sealed)
                workload.work(opens, seed, self._version, told_write)
            finally:
                os._exit(1)
        # The next child must not get the same random numbers.
        self._rng.getrandbits(32)
        os.close(told_write)
        os.close(go_read)
        return child, told_read, go_write

    def _judge(self, child: int, pipe: int, told: bytes) -> Verdict:
        _end(child)
        told += _drain(pipe, _LONGEST_S)
        os.close(pipe)
        self.killed += 1
        history = History()
        position, version = workload.replay(told, history, 0)
        self._version = max(self._version, version)
        allowed = dict(self._known)
        for key, changes in history.changes.items():
            under_way = {c.value for c in changes if c.begin < position < c.end}
            done = [c.value for c in changes if c.end <= position and c.good]
            # Where nothing was acknowledged, what was there before may still be.
            allowed[key] = under_way | ({done[-1]} if done else allowed.get(key, {None}))
        if history.evictions:
            allowed = {key: values | {None} for key, values in allowed.items()}
        return self._reopen(allowed)

    def _reopen(self, allowed: dict[bytes, set[bytes | None]]) -> Verdict:
        with workload.opener(self._folder, "synchronous", self._is_sealed)() as tier:
            verdict = judge(tier, allowed)
            self._known = {key: {tier.get(key)} for key in allowed}
            report = tier.check()
            problems = [] if report.sound else list(report.problems)
        return verdict + Verdict(0, 0, problems)


def _attach(child: int, call: str, nth: int) -> subprocess.Popen[bytes] | None:
    """Have strace kill a process at a system call; None if it cannot attach."""
    inject = f"inject={call}:signal=SIGKILL:when={nth}"
    command = ["strace", "-f", "-e", f"trace={call}", "-e", inject, "-o", os.devnull]
    tracer = subprocess.Popen(
        [*command, "-p", str(child)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if b"attached" in said:
        return tracer
    tracer.communicate()
    return None


def _drain(pipe: int, seconds: float) -> bytes:
    """Read a pipe for so long, or until its other end is closed."""
    told = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        piece = os.read(pipe, 65536) if ready else b""
        if not piece:
            break
        told += piece
    return told


def _end(child: int) -> None:
    """Kill a child of ours if it still lives, and take note of its end."""
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return
    os.waitpid(child, 0)
