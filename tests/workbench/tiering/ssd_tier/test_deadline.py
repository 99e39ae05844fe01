"""A deadline runs down and stays at nothing."""

import pytest

from tests.torture.model import key_of
from tests.workbench.tiering.ssd_tier.faulty_store import block, open_faulty
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier.deadline import Deadline


def test_time_runs_down_to_nothing() -> None:
    clock = VirtualClock()
    deadline = Deadline(clock, 2.0)
    assert deadline.left_s() == 2.0
    clock.sleep(1.5)
    assert deadline.left_s() == 0.5
    clock.sleep(86400)
    assert deadline.left_s() == 0.0


def test_no_time_is_no_time_from_the_first_moment_on() -> None:
    assert Deadline(VirtualClock(), 0.0).left_s() == 0.0
    assert Deadline(VirtualClock(), -5.0).left_s() == 0.0


def test_two_deadlines_on_one_clock_run_down_together() -> None:
    clock = VirtualClock()
    early, late = Deadline(clock, 1.0), Deadline(clock, 3.0)
    clock.sleep(1.0)
    assert (early.left_s(), late.left_s()) == (0.0, 2.0)


@pytest.mark.parametrize("call", ["put", "get", "delete", "flush", "close"])
def test_every_call_ends_by_one_deadline_though_every_request_hangs(call: str) -> None:
    """The steps of a call share its time; it is not begun anew for each of them."""
    store = open_faulty()
    for number in range(4):
        assert store.tier.put(key_of(number), block(number))
    store.tier.put(key_of(0), block(0, 1))
    store.fail(Fault("hang", chance=1.0))
    calls = {
        "put": lambda: store.tier.put(key_of(9), block(9)),
        "get": lambda: store.tier.get_many([key_of(number) for number in range(4)]),
        "delete": lambda: store.tier.delete(key_of(1)),
        "flush": store.tier.flush,
        "close": store.tier.close,
    }
    start_ns = store.clock.now_ns()
    calls[call]()
    assert store.clock.now_ns() - start_ns == 1_000_000_000
    assert store.faults.injected["hang"] > 0
