"""Say what machine this is, from facts that stay the same between runs.

Follows: asv's machine record (os, arch, cpu, cores, RAM), plus the disk behind the measured path.
Leaves out: host and user names, live clock speeds, whatever else differs between two runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from workbench import paths

UNKNOWN = "unknown"
_GIB = 2**30
# Kernel device names that carry no model of their own.
_VIRTUAL = {
    "vd": "virtio disk",
    "xvd": "xen disk",
    "loop": "loop device",
    "zram": "zram device",
    "ram": "ram disk",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured on; ``governor`` and ``os`` inform, only the stable facts make the `id`."""

    cpu: str
    n_cpu: int
    ram_bytes: int
    disk_model: str
    filesystem: str
    governor: str
    os: str
    arch: str

    @property
    def id(self) -> str:
        """Return 12 hex digits over the facts that survive a reboot and a kernel update."""
        stable = [self.cpu, self.n_cpu, round(self.ram_bytes / _GIB), self.disk_model, self.arch]
        return hashlib.sha256(json.dumps(stable).encode()).hexdigest()[:12]

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields as a plain dictionary, for run.json."""
        return asdict(self)

    def __str__(self) -> str:
        ram = f"{self.ram_bytes / _GIB:.0f} GiB RAM"
        disk = f"{self.disk_model} ({self.filesystem})"
        return f"{self.cpu}, {self.n_cpu} CPUs, {ram}, {disk}"


def identify(path: Path | None = None) -> Machine:
    """Describe this machine and the disk behind ``path`` (default: the data folder).

    The path need not exist yet: its nearest existing parent lies on the same disk.
    """
    place = _nearest_existing(path or paths.data())
    device, filesystem = _mount(place)
    return Machine(
        cpu=_cpu(),
        n_cpu=os.cpu_count() or 1,
        ram_bytes=int(psutil.virtual_memory().total),
        disk_model=_disk_model(place, device),
        filesystem=filesystem,
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or UNKNOWN,
        os=f"{platform.system()} {platform.release()}",
        arch=platform.machine(),
    )


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path.resolve()


def _read(path: str | Path) -> str:
    """Return a small file's text, or nothing when this kernel does not offer it."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _sysctl(name: str) -> str:
    try:
        answer = subprocess.run(
            ["sysctl", "-n", name], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def _cpu() -> str:
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.processor() or UNKNOWN
    facts = dict[str, str]()
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    if "model name" in facts:
        return facts["model name"]
    # 64-bit Arm names no model, only numbers; they tell machines apart just as well.
    arm = f"Arm {facts.get('CPU implementer', '')} {facts.get('CPU part', '')}".strip()
    return arm if "CPU part" in facts else platform.processor() or UNKNOWN


def _mount(place: Path) -> tuple[str, str]:
    """Return (device, file system type) of the mount that holds an existing, resolved path."""
    holding = [
        mount
        for mount in psutil.disk_partitions(all=True)
        if place.is_relative_to(mount.mountpoint)
    ]
    if not holding:
        return UNKNOWN, UNKNOWN
    # Of two mounts on one folder the later one is on top.
    _, mount = max(enumerate(holding), key=lambda item: (len(item[1].mountpoint), item[0]))
    return mount.device, mount.fstype or UNKNOWN


def _disk_model(place: Path, device: str) -> str:
    if platform.system() == "Darwin":
        return "internal disk" if device.startswith("/dev/disk") else UNKNOWN
    number = place.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not block.exists() and device.startswith(
        "/dev/"
    ):  # btrfs and the like have numbers of their own
        block = Path("/sys/class/block") / os.path.basename(os.path.realpath(device))
    return _block_model(block.resolve()) if block.exists() else "no block device"


def _block_model(block: Path) -> str:
    """Name the disk behind a /sys folder; a mapped device goes by its first part."""
    if (block / "partition").exists():
        block = block.parent
    parts = sorted((block / "slaves").glob("*"))
    if parts:
        return _block_model(parts[0].resolve())
    if model := _read(block / "device" / "model"):
        return " ".join(model.split())
    return next(
        (label for prefix, label in _VIRTUAL.items() if block.name.startswith(prefix)),
        "virtual disk",
    )
