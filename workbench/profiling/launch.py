"""Run a command, and leave its exit code, wall time and process ids in a file.

Follows: py-spy keeps the exit code of what it runs to itself, and adds its own start to the time;
the same launcher with and without it makes both wall times the command's own.
Leaves out: everything else; it runs as a script, on the standard library alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main(answer: str, output: int, command: list[str]) -> None:
    """Run the command, its output going to an open descriptor, and write what became of it."""
    began = time.perf_counter()
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=output)
    code = process.wait()
    took_s = time.perf_counter() - began
    told = {"exit_code": code, "wall_s": took_s, "launcher": os.getpid(), "pid": process.pid}
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
