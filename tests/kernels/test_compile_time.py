"""The compile meter: counts each compilation once, nested ones inside their callers."""

from __future__ import annotations

import time

import pytest
from numba import config, njit
from numba.core.errors import TypingError

from kernels import compile_time


def test_compiling_is_counted_once_and_running_is_not():
    @njit
    def inner(x: int) -> int:
        return x + 1

    @njit
    def outer(x: int) -> int:
        return inner(x) * 2

    before, began = compile_time.seconds(), time.perf_counter()
    assert outer(1) == 4
    took = time.perf_counter() - began
    counted = compile_time.seconds() - before
    assert 0 <= counted <= took
    assert (counted > 0) == (not config.DISABLE_JIT)
    assert outer(2) == 6
    assert compile_time.seconds() - before == counted


def test_a_failed_compilation_is_over_when_it_failed():
    @njit
    def bad(x: int) -> int:
        return x.no_such_thing

    with pytest.raises((TypingError, AttributeError)):
        bad(1)
    counted = compile_time.seconds()
    time.sleep(0.01)
    assert compile_time.seconds() == counted
