"""PeerProcess: a worker that answers, fails, dies, hangs or talks nonsense, never waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench import paths
from workbench.benchmark.peers.process import PeerError, PeerProcess

WORKER = """
import os, sys, time
from workbench.benchmark.peers.serving import serve

def add(left, right):
    print("loud library")
    os.write(1, b"and louder\\n")
    return left + right

def die(words):
    print(words, file=sys.stderr, flush=True)
    os._exit(3)

serve({"add": add, "die": die, "sleep": lambda duration_s: time.sleep(duration_s),
       "long": lambda n: "x" * n, "variable": lambda key: os.environ.get(key)})
"""
Start = Callable[..., PeerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a worker of the given text; all are closed afterwards."""
    started: list[PeerProcess] = []

    def worker(text: str = WORKER, **environment: str) -> PeerProcess:
        command = [sys.executable, "-c", text]
        environment = {"PYTHONPATH": str(paths.root()), **environment}
        started.append(PeerProcess(command, environment))
        return started[-1]

    yield worker
    for process in started:
        process.close()


def test_calls_are_answered_in_order_whatever_libraries_print(start: Start) -> None:
    worker = start(GREETING="hello")
    assert worker.call("add", 10, left=1, right=2) == 3
    assert worker.call("add", 10, left="a", right="b") == "ab"
    assert worker.call("variable", 10, key="GREETING") == "hello"
    assert len(str(worker.call("long", 10, n=3_000_000))) == 3_000_000


def test_a_call_that_fails_leaves_the_worker_as_it_was(start: Start) -> None:
    worker = start()
    with pytest.raises(PeerError, match="add: TypeError: "):
        worker.call("add", 10, left=1, right="b")
    assert worker.call("add", 10, left=1, right=2) == 3


def test_a_worker_that_dies_is_an_error_with_its_last_words(start: Start) -> None:
    worker = start()
    with pytest.raises(PeerError, match=r"die: the peer's worker ended; it wrote:\nno more memory"):
        worker.call("die", 10, words="no more memory")
    with pytest.raises(PeerError, match="add: the peer's worker"):
        worker.call("add", 10, left=1, right=2)


def test_a_worker_that_hangs_is_ended(start: Start) -> None:
    worker = start()
    assert worker.call("add", 10, left=1, right=2) == 3
    with pytest.raises(PeerError, match=r"sleep: no answer within 0\.1 s"):
        worker.call("sleep", 0.1, duration_s=60)


@pytest.mark.parametrize("line", ["nonsense", "[1, 2]", "{}", "12"])
def test_an_answer_that_is_none_is_an_error(start: Start, line: str) -> None:
    worker = start(f"input(); print({line!r})")
    with pytest.raises(PeerError, match="is no answer"):
        worker.call("add", 10)


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="cannot be started: No such file"):
        PeerProcess([str(tmp_path / "python")], {})


def test_closing_twice_is_nothing_and_a_call_after_it_an_error(start: Start) -> None:
    worker = start()
    worker.close()
    worker.close()
    with pytest.raises(PeerError, match="add: the peer's worker is gone"):
        worker.call("add", 10, left=1, right=2)
