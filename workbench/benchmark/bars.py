"""Name every benchmark, find those that are asked for, and keep the newest rows of each.

Follows: one row a case (findings.py), one file a benchmark.
Leaves out: the measuring (one module per family) and printing (workbench/cli/bench.py).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from workbench import paths
from workbench.benchmark import memory_ceiling
from workbench.benchmark.caching.cache_bars import CACHE_BENCHMARKS
from workbench.benchmark.codecs.codec_bars import CODEC_BENCHMARKS
from workbench.benchmark.findings import PRESETS, Benchmark, Finding, Preset, Row
from workbench.benchmark.inference.inference_bars import INFERENCE_BENCHMARKS
from workbench.benchmark.inference.weights_bars import WEIGHTS_BENCHMARKS
from workbench.benchmark.kv import kv_store
from workbench.benchmark.kv.kv_cache_bars import KV_CACHE_BENCHMARKS
from workbench.benchmark.kv.store_bars import STORE_BENCHMARKS
from workbench.benchmark.network.network_bars import NETWORK_BENCHMARKS
from workbench.benchmark.network.unified_bars import UNIFIED_BENCHMARKS
from workbench.benchmark.selection.selection_bars import SELECTION_BENCHMARKS
from workbench.benchmark.storage.sealing_bars import SEALING_BENCHMARKS
from workbench.benchmark.storage.storage_bars import STORAGE_BENCHMARKS
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import SEED

__all__ = ["BENCHMARKS", "PRESETS", "Benchmark", "Finding", "Preset", "Row", "get_benchmarks"]

# MiB a buffer and rounds; the tiny buffers fit into a large last-level cache.
_MEMORY: Mapping[Preset, tuple[int, int]] = {
    "tiny": (32, 10),
    "standard": (256, 20),
    "full": (1024, 30),
}
# Hot tokens, tokens a round, and rounds.
_KV_STORE: Mapping[Preset, tuple[int, int, int]] = {
    "tiny": (64, 32, 10),
    "standard": (1024, 250, 20),
    "full": (1024, 1000, 30),
}


def _memory_ceiling(preset: Preset) -> list[Finding]:
    memory_mib, rounds = _MEMORY[preset]
    result = memory_ceiling.measure(memory_mib, rounds)
    findings = []
    for threads in result.threads:
        for family, variants in memory_ceiling.VARIANTS.items():
            best, ceiling = result.best(family, threads)
            best_case = memory_ceiling.case_name(family, best, threads)
            for variant in variants:
                case = memory_ceiling.case_name(family, variant, threads)
                ratio = result.samples.ratio(case, best_case)
                findings.append(Finding(case, ratio, ceiling, "GB/s"))
    return findings


def _kv_store_baseline(preset: Preset) -> list[Finding]:
    hot_tokens, store_tokens, rounds = _KV_STORE[preset]
    result = kv_store.measure(SEED, hot_tokens, store_tokens, rounds)
    ceiling = result.rates[kv_store.CEILING]
    return [
        Finding(
            f"geometry={kv_store.describe(SEED)} variant={variant}",
            result.ratio(variant, kv_store.CEILING),
            ceiling,
            "tokens/s",
        )
        for variant in kv_store.VARIANTS
    ]


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "memory_ceiling",
            "How near does each copy and read kernel come to the best one, on 1 and 2 threads?",
            "none: the best one is the ceiling that others are held against",
            _memory_ceiling,
        ),
        Benchmark(
            "kv_store_baseline",
            "How far are the baseline KV stores from a plain copy of the same bytes?",
            "none: the baselines that later days are held against",
            _kv_store_baseline,
        ),
        *STORAGE_BENCHMARKS,
        *STORE_BENCHMARKS,
        *WEIGHTS_BENCHMARKS,
        *INFERENCE_BENCHMARKS,
        *KV_CACHE_BENCHMARKS,
        *CACHE_BENCHMARKS,
        *SEALING_BENCHMARKS,
        *UNIFIED_BENCHMARKS,
        *NETWORK_BENCHMARKS,
        *CODEC_BENCHMARKS,
        *SELECTION_BENCHMARKS,
    )
}


def get_benchmarks(names: Iterable[str]) -> list[Benchmark]:
    """Return the benchmarks of these names, each once, in the order asked for.

    Raises
    ------
    UsageError   naming every unknown name and the nearest known one
    """
    wanted = list(dict.fromkeys(names))
    problems = [_unknown(name) for name in wanted if name not in BENCHMARKS]
    if problems:
        raise UsageError(problems)
    return [BENCHMARKS[name] for name in wanted]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, BENCHMARKS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BENCHMARKS)}"
    return f"unknown benchmark {name!r}; {hint}"


def folder() -> Path:
    """Return the folder of the newest rows, one JSON-lines file a benchmark."""
    return paths.runs() / "bench"


def save(rows: list[Row]) -> None:
    """Put one benchmark's rows in place of this machine's earlier ones; other machines' stay.

    The file is replaced whole, so that a reader or an interruption never meets half of it.
    """
    if not rows:
        return
    path = folder() / f"{rows[0].bench}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [row for row in load(rows[0].bench) if row["machine_id"] != rows[0].machine_id]
    lines = [json.dumps(row) for row in [*kept, *map(asdict, rows)]]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text("\n".join(lines) + "\n")
    os.replace(partial, path)


def load(name: str) -> list[dict[str, object]]:
    """Return the saved rows of a benchmark, of every machine; none if it never ran."""
    path = folder() / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
