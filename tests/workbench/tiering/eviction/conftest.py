"""Mooncake's conversation trace, read once."""

from __future__ import annotations

import pytest

from workbench.benchmark.caching import trace_mooncake
from workbench.benchmark.caching.trace import Trace


@pytest.fixture(scope="session")
def conversation() -> Trace:
    return trace_mooncake.read("mooncake-conversation")
