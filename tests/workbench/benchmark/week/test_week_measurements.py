"""Week 1's measurements: every target has a line, measured here, or says what lacks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.caching import trace_mooncake, trace_sessions
from workbench.benchmark.caching.trace import Request, from_requests
from workbench.benchmark.inference.decode_latency import LatencyPlan
from workbench.benchmark.week import week_measurements, week_review
from workbench.benchmark.week.week_measurements import WeekPlan
from workbench.errors import DataError

PLAN = WeekPlan(
    restore_tokens=256,
    fio_ms=20,
    rounds=10,
    store_tokens=1,
    store_blocks=1,
    memory_mib=2,
    sessions=1,
    requests=10,
    latency=LatencyPlan(8, 12),
    baseline_tokens=2,
)


def chats(*blocks: list[int]):
    requests = [Request(float(n), 1024, 1, ids) for n, ids in enumerate(blocks)]
    return from_requests("chats", 512, requests)


def test_every_target_is_measured_or_says_what_lacks(tmp_path, disk_folder, monkeypatch):
    def absent(sessions, seed):
        raise DataError("fetch it with `workbench data get kv-cache-tester`")

    monkeypatch.setattr(trace_sessions, "read", absent)
    monkeypatch.setattr(trace_mooncake, "read", lambda name: chats([1, 2], [1, 2], [1, 3], [4]))
    week = week_measurements.measure(
        write_model(tmp_path, kind="Q4_1", quantized=True), disk_folder, PLAN
    )
    table = week_review.review(week.lines)
    now = dict(zip(table["target"], table["now"], strict=True))
    verdicts = dict(zip(table["target"], table["verdict"], strict=True))
    assert len(now) == 7
    assert verdicts["cache hit rate, agents"] == "not measured yet"
    assert "workbench data get" in next(line.how for line in week.lines if line.now is None)
    # Of seven blocks the third and fourth request find 2 and 1; nothing has to leave.
    assert now["cache hit rate, chat"] == pytest.approx(100 * 3 / 7)
    assert 0.3 < now["memory footprint, test configuration"] < 1
    assert now["latency per token, p99"] >= now["latency per token, p50"] > 0
    assert len(week.latency.seconds) == 12
    assert list(disk_folder.iterdir()) == []
    metrics = set(week.metrics["metric"])
    assert {"restore_sequential", "kv_append", "tier_hit_rate", "decode_latency"} <= metrics
    assert np.isfinite(week.metrics["value"].to_numpy()).all()
