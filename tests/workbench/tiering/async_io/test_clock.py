"""The virtual clock moves only when somebody waits; the real one by itself."""

import threading

from workbench.tiering.async_io.clock import RealClock, VirtualClock


def test_virtual_time_is_the_sum_of_the_waits():
    clock, event = VirtualClock(), threading.Event()
    assert clock.now_ns() == 0
    clock.sleep(1.5)
    assert not clock.wait(event, 3600)
    assert clock.now_ns() == 3_601_500_000_000
    event.set()
    assert clock.wait(event, 3600)
    clock.sleep(-1)
    assert clock.now_ns() == 3_601_500_000_000


def test_real_time_moves_and_waits_end():
    clock, event = RealClock(), threading.Event()
    before = clock.now_ns()
    clock.sleep(0.001)
    assert not clock.wait(event, 0.001)
    assert clock.now_ns() - before >= 2_000_000
    event.set()
    assert clock.wait(event, 60)
