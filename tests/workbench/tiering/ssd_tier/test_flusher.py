"""The thread flushes while there is something to flush, and ends when told."""

import threading

from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.ssd_tier.flusher import Flusher


def test_it_flushes_while_there_is_something_to_flush() -> None:
    flushed = threading.Event()
    flusher = Flusher(flushed.set, lambda: True, RealClock(), 0.01)
    assert flushed.wait(10)
    flusher.stop()


def test_it_leaves_a_clean_store_alone() -> None:
    asked, flushed = threading.Event(), []

    def dirty() -> bool:
        asked.set()
        return False

    flusher = Flusher(lambda: flushed.append(1), dirty, RealClock(), 0.01)
    assert asked.wait(10)
    flusher.stop()
    assert flushed == []


def test_stopping_ends_the_thread() -> None:
    flusher = Flusher(lambda: None, lambda: False, RealClock(), 3600)
    flusher.stop()
    assert not any(thread.name == "ssd-tier-flush" for thread in threading.enumerate())
