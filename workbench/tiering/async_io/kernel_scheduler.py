"""Ask which I/O scheduler the kernel uses for a path's device, and switch it for a while.

Follows: /sys/block/*/queue/scheduler, where the one in brackets is in use.
Leaves out: tuning a scheduler's own knobs; systems without sysfs, which it says.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.paths import shown
from workbench.tiering.async_io.engine import StorageError

_SYSFS = Path("/sys")


@dataclass(frozen=True, slots=True)
class KernelScheduler:
    """What the kernel says about one device's scheduler.

    Attributes
    ----------
    device : str               the whole disk's kernel name, e.g. ``"nvme0n1"``; "" if there is none
    current : str              in use; "" if the kernel does not say
    offered : tuple of str     what it could be
    reason : str               why it cannot be switched, or ""
    """

    device: str
    current: str
    offered: tuple[str, ...]
    reason: str

    @property
    def switchable(self) -> bool:
        """Return whether this process may choose another one."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether a scheduler was switched: ``reason`` says why not, or is ""."""

    scheduler: KernelScheduler
    reason: str

    @property
    def applied(self) -> bool:
        """Return whether the wanted scheduler is in use."""
        return not self.reason


def kernel_scheduler(path: Path, sysfs: Path = _SYSFS) -> KernelScheduler:
    """Return the scheduler of the device that an existing path lies on.

    A partition goes by its disk, a mapped device (LVM, LUKS) that lies on one disk by that disk.

    Raises
    ------
    StorageError   if the path does not exist
    """
    found = _control(path, sysfs)
    if isinstance(found, str):
        return KernelScheduler("", "", (), found)
    return _read(found)


@contextlib.contextmanager
def switched(path: Path, name: str, sysfs: Path = _SYSFS) -> Iterator[Switch]:
    """Use another scheduler within a ``with`` block, where the machine allows it.

    Yields
    ------
    `Switch`, which says whether the block runs under ``name``. The old scheduler is put back
    however the block ends; only a killed process leaves the new one.

    Raises
    ------
    StorageError   if the path does not exist, or the old scheduler could not be put back
    """
    control = _control(path, sysfs)
    if isinstance(control, str):
        yield Switch(KernelScheduler("", "", (), control), control)
        return
    before = _read(control)
    if before.current == name:
        yield Switch(before, "")
        return
    reason = _refusal(before, name)
    if reason:
        yield Switch(before, reason)
        return
    try:
        failed = _write(control, name)
        now = _read(control)
        if not failed and now.current != name:
            failed = f"{now.device} still uses {now.current} after {name} was asked for"
        yield Switch(now, failed)
    finally:
        failed = _write(control, before.current)
        left = _read(control).current
        if left != before.current:
            raise StorageError(
                f"{before.device}: the scheduler {before.current} could not be put back"
                f" ({failed or 'no error'}); it is {left} now"
            )


def _control(path: Path, sysfs: Path) -> Path | str:
    """Return the file that names a path's scheduler, or why there is none."""
    try:
        number = path.stat().st_dev
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StorageError(f"{shown(path)}: cannot be looked at: {reason}") from error
    if not (sysfs / "dev" / "block").is_dir():
        return "this system shows no block devices (no sysfs), so none can be asked or switched"
    block = sysfs / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if not block.exists():
        return (
            f"the file system of {shown(path)} is on no block device of its own"
            " (memory, a network, a layer or a volume of several disks)"
        )
    control = _disk(block.resolve()) / "queue" / "scheduler"
    if not control.exists():
        return f"{control.parent.parent.name} has no scheduler"
    return control


def _disk(block: Path) -> Path:
    if (block / "partition").exists():
        block = block.parent
    below = sorted((block / "slaves").glob("*"))
    return _disk(below[0].resolve()) if len(below) == 1 else block


def _read(control: Path) -> KernelScheduler:
    device = control.parent.parent.name
    try:
        words = control.read_text(encoding="utf-8").split()
    except OSError as error:
        why = f"{device}: its scheduler cannot be read: {os.strerror(error.errno or 0)}"
        return KernelScheduler(device, "", (), why)
    offered = tuple(word.strip("[]") for word in words)
    current = next((word[1:-1] for word in words if re.fullmatch(r"\[.+\]", word)), "")
    found = KernelScheduler(device, current, offered, "")
    return replace(found, reason=_obstacle(found, control))


def _obstacle(found: KernelScheduler, control: Path) -> str:
    if not found.current:
        return f"{found.device} does not say which scheduler it uses"
    if len(found.offered) < 2:
        return f"{found.device} offers only {found.current}"
    if not os.access(control, os.W_OK):
        return f"{found.device}: its scheduler may not be switched by this user, or is read-only"
    return ""


def _refusal(found: KernelScheduler, name: str) -> str:
    if found.reason:
        return found.reason
    if name not in found.offered:
        return f"{found.device} does not offer {name!r}; there are {', '.join(found.offered)}"
    return ""


def _write(control: Path, name: str) -> str:
    """Ask for a scheduler and return why that failed, or ""."""
    try:
        control.write_text(name, encoding="utf-8")
    except OSError as error:
        return f"{control.parent.parent.name}: {name}: {os.strerror(error.errno or 0)}"
    return ""
