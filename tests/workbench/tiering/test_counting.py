"""Counts of one moment, whichever threads count; what is not counted cannot be."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from workbench.tiering.counting import Counting


@dataclass(slots=True)
class Counts:
    hits: int = 0
    lookups: int = 0


def test_threads_lose_nothing_and_sums_agree_at_every_moment():
    counting = Counting(Counts())

    def count():
        for _ in range(2_000):
            counting.add(hits=1, lookups=1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen = counting.read()
        assert seen.hits == seen.lookups
    for thread in threads:
        thread.join()
    assert counting.read() == Counts(8_000, 8_000)


def test_what_was_read_does_not_change():
    counting = Counting(Counts())
    before = counting.read()
    counting.add(hits=2)
    assert (before.hits, counting.read().hits) == (0, 2)


def test_an_unknown_counter_is_a_mistake():
    with pytest.raises(AttributeError):
        Counting(Counts()).add(misses=1)
