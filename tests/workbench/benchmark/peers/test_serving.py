"""serving: one answer a call, whatever the call does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.benchmark.peers.serving import answer, memory


def refuse(reason: str) -> None:
    raise ValueError(reason)


CALLS = {"add": lambda left, right: left + right, "refuse": refuse}


@pytest.mark.parametrize(
    ("do", "arguments", "expected"),
    [
        ("add", {"left": 1, "right": 2}, {"ok": 3}),
        ("add", {"left": 1}, "TypeError: "),
        ("refuse", {"reason": "full"}, "ValueError: full"),
        ("subtract", {}, "no call 'subtract'; there are add, refuse"),
    ],
)
def test_every_call_is_answered(do: str, arguments: dict[str, object], expected: object) -> None:
    found = answer(CALLS, json.dumps({"do": do, "with": arguments}))
    if isinstance(expected, dict):
        assert found == expected
    else:
        assert str(expected) in str(found["error"])


def test_memory_grows_with_what_is_held_and_the_peak_stays() -> None:
    before = memory()
    held = np.ones(64 << 20, np.uint8)
    during = memory()
    del held
    assert set(before) == {"resident_bytes", "anonymous_bytes", "peak_bytes"}
    assert during["peak_bytes"] - before["resident_bytes"] > 60 << 20
    assert memory()["peak_bytes"] >= during["resident_bytes"] - (1 << 20)
