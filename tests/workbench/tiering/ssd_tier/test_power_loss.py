"""Whatever a power loss leaves, flushed blocks are there and nothing wrong comes back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.torture import power_loss
from tests.torture.history import NOTHING, History, Step
from tests.torture.stores import SMALL, TIGHT, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.sim_disk import SimDisk

SCRIPTS = {
    "overwrite": [Step("put", 1, 1, 5000), Step("flush"), Step("put", 1, 2, 100), Step("flush")],
    "delete": [Step("put", 1, 1, 100), Step("flush"), Step("delete", 1), Step("flush")],
    "unflushed": [Step("put", 1, 1, 100), Step("flush"), Step("put", 1, 2, 9000)],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_legal_image_of_a_small_script(name: str) -> None:
    disk, history = SimDisk(clock=VirtualClock()), History()
    open_small(disk, disk).close()
    disk = disk.reopened()
    history.run(open_small(disk, disk), SCRIPTS[name], lambda: disk.position)
    verdict, n_images = NOTHING, 0
    images = disk.all_crash_images(np.random.default_rng(1), limit=6, samples=60)
    for one in power_loss.judge_images(images, history, SMALL):
        verdict, n_images = verdict + one, n_images + 1
    assert verdict.wrong == []
    # A deleted block need never be found; the others must be, in every image after their flush.
    assert verdict.found == verdict.expected
    assert (verdict.expected > 0) == (name != "delete")
    assert n_images > 50


@pytest.mark.parametrize("seed", range(4))
def test_sampled_images_of_random_scripts_with_crashes_during_recovery(seed: int) -> None:
    config = TIGHT if seed == 3 else SMALL
    verdict = power_loss.sampled(seed, 40, 150, config)
    assert verdict.wrong == []
    assert verdict.found == verdict.expected > 0
