"""Counters add up, also from many threads."""

import threading

from workbench.tiering.ssd_tier.counters import Counters


def test_several_counters_move_at_once() -> None:
    counters = Counters()
    counters.add(lookups=3, hits=2, misses=1)
    counters.add(lookups=1, hits=1)
    counts = counters.read()
    assert (counts.lookups, counts.hits, counts.misses) == (4, 3, 1)


def test_what_was_read_does_not_move() -> None:
    counters = Counters()
    before = counters.read()
    counters.add(puts=1)
    assert before.puts == 0


def test_no_step_is_lost_between_threads() -> None:
    counters = Counters()
    threads = [
        threading.Thread(target=lambda: [counters.add(puts=1, put_bytes=2) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counters.read().puts, counters.read().put_bytes) == (4000, 8000)
