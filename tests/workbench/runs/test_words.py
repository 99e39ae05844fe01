"""Time spans in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workbench.runs.words import age, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (1.4, "1 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7440, "2 h 4 min"),
    ],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("started", "words"),
    [
        ("2026-11-24T11:59:30+00:00", "just now"),
        ("2026-11-24T11:55:00.000+00:00", "5 min"),
        ("2026-11-24T09:00:00+00:00", "3 h"),
        ("2026-11-23T12:00:00+00:00", "1 day"),
        ("2026-11-12T12:00:00+00:00", "12 days"),
    ],
)
def test_age(started, words):
    assert age(started, datetime(2026, 11, 24, 12, tzinfo=UTC)) == words
