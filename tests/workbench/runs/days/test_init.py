"""The days that exist."""

from __future__ import annotations

import pytest

from workbench.errors import UsageError
from workbench.runs.days import DAYS, get_day


def test_days_are_found_by_their_own_name():
    assert {name: get_day(name).name for name in DAYS} == {name: name for name in DAYS}


@pytest.mark.parametrize(
    ("name", "hint"), [("day1", "did you mean day01"), ("baseline", "there are day01")]
)
def test_another_name_is_refused_with_a_hint(name, hint):
    with pytest.raises(UsageError, match=f"unknown day {name}; {hint}"):
        get_day(name)
