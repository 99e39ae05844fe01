"""A killed process loses nothing that it acknowledged, and the next one finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import kills
from tests.torture.ledger import Count
from tests.torture.parts import ring_refused

ENGINES = ("synchronous", "threads", "io_uring")


@pytest.mark.parametrize("kind", ENGINES)
def test_killed_at_random_moments(kind: str, tmp_path: Path) -> None:
    needs_ring(kind)
    series = kills.Series(tmp_path / "store", kind, seed=3)
    count = Count.of(series.random_moments(8))
    assert series.killed == count.runs == 8
    assert count.told == ()
    assert count.found == count.expected > 0


def test_a_sealed_store_is_killed_at_random_moments(tmp_path: Path) -> None:
    series = kills.Series(tmp_path / "store", "threads", seed=4, is_sealed=True)
    count = Count.of(series.random_moments(8))
    assert count.told == ()
    assert count.found == count.expected > 0


@pytest.mark.strace
@pytest.mark.parametrize("kind", ENGINES)
def test_killed_at_system_calls(kind: str, tmp_path: Path) -> None:
    needs_ring(kind)
    if not kills.strace_works():
        pytest.skip("needs strace that may attach to a child: kernel.yama.ptrace_scope below 2")
    series = kills.Series(tmp_path / "store", kind, seed=3)
    # Early ones, which come soon: the torture run waits for late ones too.
    writes = {"io_uring_enter": 40} if kind == "io_uring" else {"pwritev": 40, "fdatasync": 8}
    count = Count.of(series.system_calls(6, writes))
    assert series.at_calls > 0
    assert count.told == ()
    assert count.found == count.expected > 0


def needs_ring(kind: str) -> None:
    if kind == "io_uring" and (why := ring_refused()):
        pytest.skip(f"needs io_uring: {why}")
