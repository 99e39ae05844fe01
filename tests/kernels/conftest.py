"""What is asserted in contracts is told in full, as in tests; and all kernels interpreted."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import pytest

from tests.kernels.interpreted import Interpreted, begun

pytest.register_assert_rewrite("tests.contracts.int4_contract")


@pytest.fixture(scope="session")
def interpreted() -> Iterator[Interpreted]:
    """Run this folder's tests without the compiler."""
    with begun() as process:
        yield process


@pytest.fixture(scope="session", autouse=True)
def _begin_early(request: pytest.FixtureRequest) -> None:
    """Begin with that before the first test here, where a test of the session will ask for it."""
    items = request.session.items
    asks = any("interpreted" in getattr(item, "fixturenames", ()) for item in items)
    # That process has this file too.
    if asks and not numba.config.DISABLE_JIT:
        request.getfixturevalue("interpreted")
