"""The skip of tests that really sample, where nothing may be sampled."""

from __future__ import annotations

import pytest

from workbench.profiling import sampler


@pytest.fixture(scope="session")
def may_sample() -> None:
    """Skip where py-spy may not read processes."""
    try:
        sampler.check()
    except sampler.SamplerError as error:
        pytest.skip(str(error))
