"""Every reason for a miss has a counter, and the message falls back to the reason."""

from dataclasses import fields

from workbench.tiering.distributed_tier.counters import Counts
from workbench.tiering.distributed_tier.miss import OUTAGES, BudgetError, Miss, MissError


def test_every_reason_has_a_counter():
    names = {field.name for field in fields(Counts)}
    assert {f"misses_{why.value}" for why in Miss} <= names


def test_only_what_an_endpoint_is_to_blame_for_is_an_outage():
    assert {Miss.LATE, Miss.FAILED, Miss.LOADING} == OUTAGES


def test_an_error_says_its_reason_when_nothing_else_is_known():
    assert str(MissError(Miss.ABSENT)) == "absent"
    assert str(MissError(Miss.FAILED, "reset")) == "reset"


def test_a_hurried_caller_s_miss_is_a_late_one():
    assert BudgetError().why is Miss.LATE
