"""List the details of a system that explain a surprising figure: features, caches, versions.

Follows: appendix A of the team's first report, with every "TBD" filled by asking the machine.
Leaves out: what identifies the machine (machine.py) and everything that names a host or a person.
"""

from __future__ import annotations

import mmap
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import polars as pl

from workbench.benchmark.storage import fio

_FEATURES = ("avx2", "f16c", "avx512f", "avx512vnni", "avx512fp16", "amx-int8", "neon", "dotprod")
_PACKAGES = (
    *("altair", "jupyterlab", "llvmlite", "nbclient", "numba", "numpy"),
    *("papermill", "polars", "pydantic", "vl-convert-python", "zstandard"),
)
_UNKNOWN = "not told by this system"


def describe() -> pl.DataFrame:
    """Return (part, item, value) rows, all text. Cost: one run of ``fio --version``."""
    rows = [*_processor(), *_memory(), *_software()]
    return pl.DataFrame(rows, schema=["part", "item", "value"], orient="row")


def _processor() -> Iterator[tuple[str, str, str]]:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    found = ", ".join(name for name in _FEATURES if features.get(name)) or "none of those asked for"
    yield "processor", "LLVM's name", binding.get_host_cpu_name()
    yield "processor", "vector features", found
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
        yield "processor", f"L{level} {kind.lower()} cache", size


def _memory() -> Iterator[tuple[str, str, str]]:
    yield "memory", "page", f"{mmap.PAGESIZE // 1024} KiB"
    huge = _read(Path("/sys/kernel/mm/transparent_hugepage/enabled"))
    yield "memory", "transparent huge pages", huge.partition("[")[2].partition("]")[0] or _UNKNOWN


def _software() -> Iterator[tuple[str, str, str]]:
    yield "software", "system", f"{platform.system()} {platform.release()}"
    yield "software", "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "software", "threads for Numba", os.environ.get("NUMBA_NUM_THREADS", str(os.cpu_count()))
    yield "software", "fio", _fio_version()
    yield "software", "packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES)


def _fio_version() -> str:
    if not fio.available():
        return "not installed: the engine's own loop is the ceiling"
    answer = subprocess.run(
        ["fio", "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    return answer.stdout.strip().removeprefix("fio-") or _UNKNOWN


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
