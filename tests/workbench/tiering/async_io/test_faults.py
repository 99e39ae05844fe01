"""Rules fire for the calls they are about, as often as they say, and the same way again."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.async_io.faults import Fault, Faults


def test_the_nth_call_is_counted_among_those_the_rule_is_about():
    faults = Faults([Fault("error", op="write", name="a", nth=2)])
    calls = [("write", "a"), ("read", "a"), ("write", "b"), ("write", "a"), ("write", "a")]
    fired = [faults.decide(op, name) is not None for op, name in calls]
    assert fired == [False, False, False, True, False]
    assert faults.calls == {"write": 4, "read": 1}
    assert faults.injected == {"error": 1}


def test_a_rule_can_go_on_firing():
    faults = Faults([Fault("error", nth=2, times=3)])
    fired = [faults.decide("read", "f") is not None for _ in range(6)]
    assert fired == [False, True, True, True, False, False]


def test_chance_follows_the_seed_and_the_limit():
    rule = Fault("flip", chance=0.3, times=10)
    first, again, other = (
        [faults.decide("read", "f") is not None for _ in range(200)]
        for faults in (Faults([rule], 1), Faults([rule], 1), Faults([rule], 2))
    )
    assert first == again
    assert first != other
    assert sum(first) == sum(other) == 10


def test_the_first_rule_wins_and_all_count():
    faults = Faults([Fault("error", op="read", nth=1), Fault("flip", nth=2)])
    kinds = [fault and fault.kind for fault in (faults.decide("read", "f") for _ in range(3))]
    assert kinds == ["error", "flip", None]


def test_rules_come_and_go():
    faults = Faults()
    assert faults.decide("read", "f") is None
    faults.add(Fault("error", nth=1))
    assert faults.decide("read", "f") is not None
    faults.add(Fault("error", nth=1, times=100))
    faults.clear()
    assert faults.decide("read", "f") is None
    assert faults.calls["read"] == 3


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "torn", "op": "read", "nth": 1},
        {"kind": "drop", "op": "read", "nth": 1},
        {"kind": "explode", "nth": 1},
        {"kind": "error"},
        {"kind": "error", "nth": 1, "chance": 0.5},
    ],
)
def test_impossible_rules_are_refused(rule):
    with pytest.raises(UsageError):
        Fault(**rule)


def test_kinds_pass_by_calls_they_cannot_happen_to():
    faults = Faults([Fault("torn", chance=1.0)])
    assert faults.decide("read", "f") is None
    assert faults.decide("write", "f") is not None


def test_random_picks_stay_in_range():
    faults = Faults(seed=3)
    assert {faults.pick(3) for _ in range(50)} == {0, 1, 2}
    assert faults.pick(0) == 0
    assert sorted(faults.shuffled(9)) == list(range(9))
