"""Open numbered changed files, one after the other, under limits; the series' own process.

Follows: series.py, which starts it: `python -m tests.torture.gguf.worker SEED START STOP FOLDER`.
Leaves out: surviving what it opens.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from tests.torture.gguf import limits
from tests.torture.gguf.models import valid_files, valid_models
from tests.torture.gguf.mutations import mutated
from tests.torture.gguf.rearranged import rearranged
from workbench.tiering.mmap_gguf import read_header

AT, FILE, RESULT = "at", "file.gguf", "result.json"
_KEPT = 20
# Every third file is one that reads well.
_REARRANGED_EVERY = 3


class Files:
    """The changed files by number."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._seed = seed
        self._models = valid_models()
        self._valid = valid_files()
        self._headers = [_header_bytes(file, folder) for file in self._valid]

    def content(self, number: int) -> bytes:
        """Return one file's bytes."""
        if number % _REARRANGED_EVERY:
            return mutated(self._valid, self._headers, self._seed, number)
        return rearranged(self._models, random.Random(f"{self._seed}/{number}"))


def _header_bytes(file: bytes, folder: Path) -> int:
    path = folder / FILE
    path.write_bytes(file)
    return read_header(path).data_offset


def main(seed: int, start: int, stop: int, folder: Path) -> None:
    """Open the files ``start..stop`` and write what came of them."""
    files, path = Files(seed, folder), folder / FILE
    for valid in valid_files():
        path.write_bytes(valid)
        warm_up = limits.outcome(path)
        assert warm_up.verdict == "accepted", warm_up.reason
    limits.prepare()
    counts = {"refused": 0, "accepted": 0, "wrong": 0, "slow": 0}
    problems: list[str] = []
    slowest_s = 0.0
    held_bytes = limits.reset_peak()
    at = os.open(folder / AT, os.O_RDWR | os.O_CREAT)
    for number in range(start, stop):
        os.pwrite(at, f"{number:20}".encode(), 0)
        path.write_bytes(files.content(number))
        found = limits.outcome(path, measure_memory=False)
        slow = found.cpu_s > limits.MAX_SECONDS
        counts[found.verdict] += 1
        counts["slow"] += slow
        slowest_s = max(slowest_s, found.cpu_s)
        if (found.verdict == "wrong" or slow) and len(problems) < _KEPT:
            problems.append(f"number {number}: {found.cpu_s:.2f} s: {found.reason or 'accepted'}")
    grown_bytes = limits.peak() - held_bytes
    result = {"problems": problems, "slowest_s": slowest_s, "grown_bytes": grown_bytes}
    (folder / RESULT).write_text(json.dumps(counts | result))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
