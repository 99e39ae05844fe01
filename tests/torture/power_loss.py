"""Take the power away at any moment of a script, and see what comes back.

Follows: ALICE and B3: replay what was written, leave out or tear any legal subset of what was not
synced; again during the recovery, three deep.
Leaves out: damage (rot.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from tests.torture.history import NOTHING, History, Verdict, judge, random_script
from tests.torture.stores import SMALL, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

_DEPTH = 3


class Opens(Protocol):
    """Opens a small store: `open_small` or `open_sealed`."""

    def __call__(self, folder: SimDisk, engine: SimDisk, config: SsdTierConfig, /) -> SsdTier: ...


def record(
    script_seed: int,
    n_steps: int,
    config: SsdTierConfig = SMALL,
    opens: Opens = open_small,
) -> tuple[SimDisk, History]:
    """Run a script on a fresh disk and return both."""
    disk, history = SimDisk(clock=VirtualClock()), History()
    tier = opens(disk, disk, config)
    script = random_script(script_seed, n_steps)
    half = n_steps // 2
    history.run(tier, script[:half], lambda: disk.position)
    begin = disk.position
    tier.close()
    history.flushes.append((begin, disk.position))
    tier = opens(disk, disk, config)
    history.run(tier, script[half:], lambda: disk.position)
    return disk, history


def sampled(seed: int, n_steps: int, n_images: int, config: SsdTierConfig = SMALL) -> Verdict:
    """Judge random images of one random script; every tenth crashes again while recovering."""
    total = NOTHING
    for verdict in each(seed, n_steps, n_images, config):
        total += verdict
    return total


def each(
    seed: int,
    n_steps: int,
    n_images: int,
    config: SsdTierConfig = SMALL,
    opens: Opens = open_small,
) -> Iterator[Verdict]:
    """Yield the verdict of each image, as `sampled` adds them up."""
    disk, history = record(seed, n_steps, config, opens)
    rng = np.random.default_rng(seed)
    yield from judge_images(disk.crash_images(rng, n_images), history, config, rng, opens)


def judge_images(
    images: Iterable[SimDisk],
    history: History,
    config: SsdTierConfig,
    rng: np.random.Generator | None = None,
    opens: Opens = open_small,
) -> Iterator[Verdict]:
    """Open every image and compare what it answers with what it may."""
    for number, image in enumerate(images):
        allowed = history.after_power_loss(image.origin.position)
        if rng is not None and number % 10 == 0:
            image = _crash_again(image, config, rng, opens)
        tier = opens(image, image, config)
        yield judge(tier, allowed)


def _crash_again(
    image: SimDisk, config: SsdTierConfig, rng: np.random.Generator, opens: Opens
) -> SimDisk:
    for _ in range(_DEPTH):
        opens(image, image, config)
        (image,) = image.crash_images(rng, 1)
    return image
