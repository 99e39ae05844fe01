"""What the tests of the ring engine share: whether there is a ring, and a file that hangs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from workbench.tiering.async_io.files import OpenFile
from workbench.tiering.async_io.io_uring import UringEngine
from workbench.tiering.async_io.ring import Ring, RingRefusedError


def refused() -> str:
    try:
        Ring(1).close(0)
    except RingRefusedError as error:
        return str(error)
    return ""


class Pipe:
    """A file that does not answer until somebody writes, adopted by an engine."""

    def __init__(self, engine: UringEngine) -> None:
        out, self.into = os.pipe()
        table = engine._files
        self.file = next(table._handles)
        table._files[self.file] = OpenFile(Path("pipe"), "pipe", out, direct=False)

    def answer(self, content: bytes) -> None:
        os.write(self.into, content)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("never came true")
