"""Say which I/O scheduler the kernel uses for a disk, and change it where that is permitted.

Follows: /sys/block/<disk>/queue/scheduler, which lists the choices with the one in use in brackets.
Leaves out: which is better (the days measure it), and disks that have no such file.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.paths import shown
from workbench.tiering.async_io.engine import StorageError

SYSFS = Path("/sys")


@dataclass(frozen=True, slots=True)
class KernelScheduler:
    """What the kernel offers for one disk.

    Attributes
    ----------
    disk : str               the kernel's name for it, e.g. ``"nvme0n1"``; "" where there is none
    current : str            the scheduler in use; "" where the kernel does not say
    choices : tuple of str   all that can be chosen, the current one among them
    refused : str            why it cannot be changed here, or ""
    """

    disk: str
    current: str
    choices: tuple[str, ...]
    refused: str


def look(path: Path, sysfs: Path = SYSFS) -> KernelScheduler:
    """Return the scheduler of the disk that an existing file or folder lies on."""
    queue = _queue(path, sysfs)
    if queue is None:
        return KernelScheduler("", "", (), f"{shown(path)} lies on no disk that the kernel shows")
    disk, place = queue.parent.name, queue / "scheduler"
    try:
        words = place.read_text(encoding="ascii").split()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        return KernelScheduler(disk, "", (), f"{disk}: the scheduler cannot be read: {why}")
    choices = tuple(word.strip("[]") for word in words)
    current = next((word.strip("[]") for word in words if word.startswith("[")), "")
    return KernelScheduler(disk, current, choices, _refused(disk, choices, place))


def switch(path: Path, name: str, sysfs: Path = SYSFS) -> str:
    """Let the kernel use another scheduler for the disk of ``path``; return the one before.

    It is changed for the whole machine and until the next boot; see `switched`.

    Raises
    ------
    StorageError   if the machine does not allow it, or there is no such scheduler
    """
    before = look(path, sysfs)
    if before.refused:
        raise StorageError(before.refused)
    if name not in before.choices:
        raise StorageError(f"{before.disk} has no scheduler {name!r}; {', '.join(before.choices)}")
    queue = _queue(path, sysfs)
    assert queue is not None
    try:
        (queue / "scheduler").write_text(name, encoding="ascii")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StorageError(f"{before.disk}: {name} was refused by the kernel: {why}") from error
    # The kernel accepts some names without a change, so it is asked again.
    if (now := look(path, sysfs).current) != name:
        raise StorageError(f"{before.disk}: {name} was accepted, yet {now} is in use")
    return before.current


@contextlib.contextmanager
def switched(path: Path, name: str, sysfs: Path = SYSFS) -> Iterator[str]:
    """Use another scheduler for the time of a ``with`` block; what was there comes back."""
    before = switch(path, name, sysfs)
    try:
        yield before
    finally:
        switch(path, before, sysfs)


def _queue(path: Path, sysfs: Path) -> Path | None:
    """Return the disk's queue folder; a partition's disk is the folder above it."""
    number = path.stat().st_dev
    block = sysfs / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if not block.exists():
        return None
    folder = block.resolve()
    folder = folder.parent if (folder / "partition").exists() else folder
    return folder / "queue" if (folder / "queue").is_dir() else None


def _refused(disk: str, choices: tuple[str, ...], place: Path) -> str:
    if len(choices) < 2:
        return (
            f"{disk} offers no choice of schedulers (a mapped device? then look at what is below)"
        )
    if not re.fullmatch(r"[\w .\-]+", " ".join(choices)):
        return f"{disk}: {' '.join(choices)!r} is no list of schedulers"
    if not os.access(place, os.W_OK):
        return f"{disk}: changing the scheduler needs root; run as root, or leave it as it is"
    return ""
