"""Counts are never too low, seldom too high, and fade."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tiering.eviction.frequency_sketch import FrequencySketch


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1 << 40), max_size=90))
def test_a_count_is_never_too_low(keys):
    sketch = FrequencySketch(10)
    for key in keys:
        sketch.add(key)
    for key in set(keys):
        assert min(15, keys.count(key)) <= sketch.estimate(key) <= 15


@pytest.mark.parametrize("as_key", [lambda n: n, lambda n: random.Random(n).randbytes(32)])
def test_a_count_is_seldom_too_high(as_key):
    sketch = FrequencySketch(1000)
    for n in range(1000):
        for _ in range(1 + n % 5):
            sketch.add(as_key(n))
    wrong = sum(sketch.estimate(as_key(n)) != 1 + n % 5 for n in range(1000))
    assert wrong < 80
    assert sum(sketch.estimate(as_key(n)) > 0 for n in range(10_000, 11_000)) < 80


def test_counts_end_at_fifteen():
    sketch = FrequencySketch(100)
    for _ in range(40):
        sketch.add(b"the same")
    assert sketch.estimate(b"the same") == 15


def test_after_ten_uses_a_block_all_counts_are_halved():
    sketch = FrequencySketch(10)
    for n in range(99):
        sketch.add(n % 9)
    assert sketch.estimate(0) == 11
    sketch.add(1)
    assert [sketch.estimate(key) for key in (0, 1, 100_000)] == [5, 6, 0]


@pytest.mark.parametrize("capacity", [1, 10, 1000, 1_000_000])
def test_it_takes_at_most_sixteen_bytes_a_block_or_a_few(capacity):
    assert FrequencySketch(capacity).nbytes <= max(32, 16 * capacity)
