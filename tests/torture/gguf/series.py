"""Have changed files opened by workers of their own, and gather what came of them.

Follows: a worker that dies has met a file that must not be able to kill it; the series notes the
file's number and goes on behind it.
Leaves out: the opening (worker.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.gguf.worker import AT, RESULT
from workbench import paths

# A worker's share: small enough for progress to be seen and memory to be judged.
SHARE = 20_000


@dataclass
class Tally:
    """What came of all files: refused + accepted + wrong + killed are as many as there were."""

    refused: int = 0
    accepted: int = 0
    wrong: int = 0
    slow: int = 0
    killed: int = 0
    slowest_s: float = 0.0
    grown_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def n_files(self) -> int:
        """Return how many files were opened."""
        return self.refused + self.accepted + self.wrong + self.killed

    def add(self, other: Tally) -> None:
        """Count another tally's files too."""
        for name in ("refused", "accepted", "wrong", "slow", "killed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.grown_bytes = max(self.grown_bytes, other.grown_bytes)
        self.problems += other.problems


def run(
    n_files: int, seed: int, workers: int, on_share: Callable[[Tally], None] | None = None
) -> Tally:
    """Open so many changed files.

    Parameters
    ----------
    n_files, seed : int    the same ones open the same files
    workers : int          processes at a time
    on_share : callable    told of the tally so far, now and then
    """
    shares = [range(at, min(at + SHARE, n_files)) for at in range(0, n_files, SHARE)]
    total = Tally()
    with ThreadPoolExecutor(workers) as pool:
        for tally in pool.map(lambda numbers: _share(seed, numbers), shares):
            total.add(tally)
            if on_share is not None:
                on_share(total)
    return total


def _share(seed: int, numbers: range) -> Tally:
    tally, start = Tally(), numbers.start
    with tempfile.TemporaryDirectory(prefix="gguf-torture-") as name:
        folder = Path(name)
        while start < numbers.stop:
            command = [sys.executable, "-m", "tests.torture.gguf.worker"]
            command += [str(seed), str(start), str(numbers.stop), name]
            done = subprocess.run(command, cwd=paths.root(), stderr=subprocess.PIPE, text=True)
            if done.returncode == 0:
                tally.add(Tally(**json.loads((folder / RESULT).read_text())))
                break
            if not (folder / AT).exists():
                raise RuntimeError(f"no worker could be started: {done.stderr[-2000:]}")
            last = int((folder / AT).read_text())
            # What the worker counted until then is lost with it: the files before are opened again.
            if last > start:
                tally.add(_share(seed, range(start, last)))
            tally.killed += 1
            tally.problems.append(f"number {last} ended the process: {done.returncode}")
            start = last + 1
    return tally
