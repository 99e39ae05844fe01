"""List what was measured on and with: machine, storage, software, model, test configuration.

Follows: section 1 of the team's first report, filled from the machine and the model's own header.
Leaves out: live clock speeds and names of hosts or people.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

import polars as pl

from workbench.benchmark.machine import Machine
from workbench.tiering.kv_geometry import SEED
from workbench.tiering.mmap_gguf import GGUFHeader, kv_geometry

_GIB, _MIB, _KIB = 1 << 30, 1 << 20, 1 << 10


def describe(machine: Machine, header: GGUFHeader, hot_tokens: int) -> pl.DataFrame:
    """Return the configuration as rows of (part, item, value), all text.

    Parameters
    ----------
    machine : Machine      as `workbench.benchmark.machine.identify` found it
    header : GGUFHeader    of the real model
    hot_tokens : int       capacity of the test configuration's hot tier
    """
    rows = [*_machine(machine), *_software(), *_model(header), *_test(hot_tokens)]
    return pl.DataFrame(rows, schema=["part", "item", "value"], orient="row")


def _machine(machine: Machine) -> Iterator[tuple[str, str, str]]:
    yield "machine", "processor", f"{machine.cpu}, {machine.n_cpu} CPUs, {machine.arch}"
    yield "machine", "memory", f"{machine.ram_bytes / _GIB:.1f} GiB"
    yield "machine", "frequency governor", machine.governor
    yield "storage", "disk", machine.disk_model
    yield "storage", "file system", machine.filesystem


def _software() -> Iterator[tuple[str, str, str]]:
    yield "software", "system", f"{platform.system()} {platform.release()}"
    yield "software", "kernels", f"Numba {version('numba')} on Python {platform.python_version()}"


def _model(header: GGUFHeader) -> Iterator[tuple[str, str, str]]:
    geometry = kv_geometry(header)
    weights = header.weight_bytes()
    kinds = ", ".join(f"{kind} {n_bytes / _MIB:.1f} MiB" for kind, n_bytes in weights.items())
    yield "model", "name", str(header.metadata.get("general.name", "unnamed"))
    yield "model", "architecture", header.architecture
    yield (
        "model",
        "KV geometry",
        f"{geometry.layers} layers x {geometry.kv_heads} KV heads x {geometry.head_dim}",
    )
    yield "model", "KV per token, fp16", f"{geometry.bytes_per_token / _KIB:g} KiB"
    yield "model", "weights", kinds


def _test(hot_tokens: int) -> Iterator[tuple[str, str, str]]:
    yield (
        "test configuration",
        "KV geometry",
        f"{SEED.layers} layers x {SEED.kv_heads} heads x {SEED.head_dim}, {SEED.dtype}",
    )
    hot_mib = hot_tokens * SEED.bytes_per_token / _MIB
    yield "test configuration", "hot tier", f"{hot_tokens:,} tokens, {hot_mib:,.0f} MiB"
