"""Events: a ring in memory, JSON lines for logging and a file."""

import json
import logging

import pytest

from workbench.errors import UsageError
from workbench.tiering.unified_tier import events
from workbench.tiering.unified_tier.events import Event, Events, Kind


def test_the_last_ones_are_remembered_in_order():
    with Events(kept=2) as log:
        for kind in (Kind.OPENED, Kind.SERVING, Kind.DEGRADED):
            log.add(kind, "ssd", "why")
        first, second = log.last()
        assert (first.kind, second.kind) == (Kind.SERVING, Kind.DEGRADED)
        assert second == Event(Kind.DEGRADED, "ssd", "why", second.wall_s, second.monotonic_s)
        assert first.monotonic_s <= second.monotonic_s


def test_logging_and_the_file_get_a_json_object_a_line(tmp_path, caplog):
    caplog.set_level(logging.INFO, "workbench.tiers")
    with Events(tmp_path / "events.jsonl") as log:
        log.add(Kind.OPENED)
        log.add(Kind.OFF, "network", 'a "reason"\nof two lines')
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["opened", "off"]
    assert json.loads(lines[1])["reason"] == 'a "reason"\nof two lines'
    assert caplog.messages == lines
    assert [one.levelname for one in caplog.records] == ["INFO", "INFO"]


def test_the_file_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "_FILE_BYTES", 2000)
    with Events(tmp_path / "events.jsonl") as log:
        for _ in range(100):
            log.add(Kind.SESSION_BEGAN)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5000


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UsageError, match="event_log="):
        Events(tmp_path / "none" / "events.jsonl")
