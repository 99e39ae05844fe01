"""Counters add up, also from many threads."""

import threading
from dataclasses import asdict, fields

import pytest

from workbench.tiering.ssd_tier.counters import Counters, Counts


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


def test_every_counter_begins_at_zero_and_can_be_counted() -> None:
    names = [field.name for field in fields(Counts)]
    counters = Counters()
    assert counters.read() == Counts()
    assert set(asdict(Counts()).values()) == {0}
    counters.add(**{name: step for step, name in enumerate(names)})
    counters.add(**{name: 1000 for name in names})
    assert asdict(counters.read()) == {name: 1000 + step for step, name in enumerate(names)}


def test_a_counter_that_does_not_exist_cannot_be_counted() -> None:
    with pytest.raises(AttributeError):
        Counters().add(hitz=1)


def test_no_reader_sees_a_lookup_without_its_outcome() -> None:
    counters, done = Counters(), threading.Event()

    def count() -> None:
        for number in range(5000):
            counters.add(lookups=1, hits=number % 2, misses=1 - number % 2)
        done.set()

    writer = threading.Thread(target=count)
    writer.start()
    seen = [counters.read()]
    while not done.is_set():
        seen.append(counters.read())
    writer.join()
    assert all(counts.lookups == counts.hits + counts.misses for counts in seen)
    assert counters.read().lookups == 5000


def test_two_stores_count_apart() -> None:
    one, other = Counters(), Counters()
    one.add(puts=5)
    assert (one.read().puts, other.read().puts) == (5, 0)
