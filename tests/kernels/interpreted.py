"""Run this folder's tests without the compiler, in a process beside those that compile.

Follows: the suite is serial, and compiling takes one CPU: the other one interprets meanwhile.
Leaves out: what is asserted of it (test_simd.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

_COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels"]
_DEADLINE_S = 400


class Interpreted(NamedTuple):
    """The process, and the file it writes to, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and the last of what it said."""
        code = self.process.wait(_DEADLINE_S)
        self.said.seek(0)
        return code, self.said.read()[-4000:].decode(errors="replace")


@contextmanager
def begun() -> Iterator[Interpreted]:
    """Start it; kill it in the end, if nobody waited for it."""
    place = {"cwd": Path(__file__).parents[2], "env": os.environ | {"NUMBA_DISABLE_JIT": "1"}}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(_COMMAND, stdout=said, stderr=subprocess.STDOUT, **place) as process,
    ):
        try:
            yield Interpreted(process, said)
        finally:
            process.kill()
