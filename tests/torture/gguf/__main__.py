"""Open changed GGUF files by the hundred thousand, and print what came of them.

Follows: the counts are made by the run, never typed; anything wrong ends with exit code 1.
Leaves out: the corpus of named files (tests/workbench/tiering/mmap_gguf/test_hostile_files.py).
"""

from __future__ import annotations

import argparse
import os
import sys
from time import perf_counter

from tests.torture.gguf import limits, series

_SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Run one series and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.gguf", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000, help="how many (a million)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other files")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args(arguments)
    start = perf_counter()

    def progress(tally: series.Tally) -> None:
        if sys.stderr.isatty():
            print(f"\r{tally.n_files:,} of {chosen.files:,}", end="", file=sys.stderr, flush=True)

    tally = series.run(chosen.files, chosen.seed, chosen.workers, progress)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    rows = {
        "files opened": tally.n_files,
        "refused by a typed error": tally.refused,
        "accepted": tally.accepted,
        "any other error": tally.wrong,
        "ended the process": tally.killed,
        f"took more than {limits.MAX_SECONDS:g} s": tally.slow,
        "slowest, ms of processor time": round(1e3 * tally.slowest_s),
        "most memory beyond the start, KiB": tally.grown_bytes >> 10,
        "seconds for all": round(perf_counter() - start),
    }
    for name, number in rows.items():
        print(f"{name:<36}{number:>12,}")
    for problem in tally.problems[:_SHOWN]:
        print(f"    {problem}")
    wrong = tally.wrong + tally.killed + tally.slow + (tally.grown_bytes > limits.MAX_BYTES)
    print("nothing was wrong" if not wrong else "something was wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
