"""Run folders made for tests: rows in Day 1's shapes, charts, an executed notebook, a record."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import polars as pl
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench import paths
from workbench.benchmark import metrics
from workbench.report import baseline_charts
from workbench.report.figures import CHART_MIME, Figure, bundle
from workbench.report.tables import table_html
from workbench.runs import metrics_file
from workbench.runs.record import RunRecord, VerdictRecord

MACHINE = {
    "cpu": "Example 9 Processor",
    "n_cpu": 2,
    "ram_bytes": 24 * 2**30,
    "disk_model": "Example NVMe",
    "filesystem": "ext4",
    "governor": "performance",
    "os": "Linux 6.1",
    "arch": "x86_64",
}
OTHER_MACHINE = {**MACHINE, "cpu": "Sample M4 Pro", "n_cpu": 12, "arch": "arm64", "os": "macOS 15"}
PARAMS: dict[str, Any] = {
    "preset": "standard",
    "seed": 0,
    "store": "data/store",
    "block_kib": 16,
    "medium": "device",
    "model": "smollm2-135m",
    "hot_tokens": 1024,
    "rounds": None,
}
_RATES = {
    ("device", "synchronous"): (0.31, 0.92, 1.61, 2.0, 2.12),
    ("device", "fio_qd1"): (0.33, 0.95, 1.66, 2.07, 2.2),
    ("device", "fio_qd32"): (1.2, 2.1, 2.29, 2.31, 2.33),
    ("page_cache", "synchronous"): (3.1, 5.6, 7.1, 7.0, 6.7),
}
_BLOCKS = (4, 16, 64, 256, 1024)


def day1_rows(rounds: int = 10, seed: int = 0, faster: float = 1.0) -> pl.DataFrame:
    """Return metric rows as Day 1 records them, storage ``faster`` times the usual."""
    rng = np.random.default_rng(seed)

    def noisy(value: float) -> list[float]:
        return list(value * rng.normal(1, 0.02, rounds))

    frames = []
    for op, factor in (("read", 1.0), ("write", 0.6)):
        for (tier, variant), rates in _RATES.items():
            for block, rate in zip(_BLOCKS, rates, strict=True):
                case = f"block_kib={block}"
                place = {"tier": tier, "case": case, "variant": variant}
                frames.append(
                    metrics.rows(f"storage_{op}", "GB/s", noisy(rate * factor * faster), **place)
                )
                latency = block * 1.024 / rate
                frames.append(metrics.rows(f"storage_{op}_p50", "us", noisy(latency), **place))
    for name, rate in (("numpy", 8.1), ("njit_non_temporal", 12.4), ("memcpy", 9.0)):
        for threads in (1, 2):
            case = f"threads={threads}"
            values = noisy(rate * (1 + 0.6 * (threads - 1)))
            frames.append(
                metrics.rows("memory_copy", "GB/s", values, tier="memory", case=case, variant=name)
            )
    stores = {"python_per_head": 412, "numpy_per_layer": 9120, "njit_scalar": 11840}
    for name, rate in {**stores, "copy_ceiling": 17600}.items():
        frames.append(
            metrics.rows(
                "kv_store",
                "tokens/s",
                noisy(rate),
                tier="hot",
                case="geometry=seed",
                variant=name,
            )
        )
    per_token = {"seed": 2**20, "smollm2-135m": 46080, "llama-3.3-70b": 2 * 327680}
    for model, size in per_token.items():
        for variant, share in {"fp32": 1.0, "fp16": 0.5, "int8": 0.27, "int4": 0.14}.items():
            frames.append(
                metrics.rows(
                    "kv_footprint",
                    "bytes",
                    [size * share * 10_000],
                    tier="memory",
                    case=f"model={model} tokens=10000",
                    variant=variant,
                )
            )
    return pl.concat(frames)


def day1_figures(rows: pl.DataFrame) -> list[Figure]:
    """Return Day 1's charts of these rows."""
    return [
        baseline_charts.storage(rows, "read"),
        baseline_charts.storage(rows, "write"),
        baseline_charts.memory(rows),
        baseline_charts.footprint(rows, 10_000),
        baseline_charts.kv_store(rows),
    ]


def notebook(cells: list[Any]) -> Any:
    """Return a notebook of these cells, code cells numbered as if executed in order."""
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def executed(source: str, outputs: list[Any] | None = None, tags: tuple[str, ...] = ()) -> Any:
    """Return a code cell that ran."""
    metadata = {"tags": list(tags), "papermill": {"duration": 1.25}}
    return new_code_cell(source, execution_count=1, outputs=outputs or [], metadata=metadata)


def shown(data: dict[str, Any]) -> Any:
    """Return an output that displays a mimebundle."""
    return new_output("display_data", data=data)


def day1_notebook(rows: pl.DataFrame, figures: list[Figure]) -> Any:
    """Return an executed notebook that looks like Day 1's."""
    text = [
        "The same loop reads a file in blocks of 4 KiB to 1 MiB. The device is read past the "
        "cache; the page cache is read warm. **Look for** the size where the device flattens.",
        "Writes follow the same plan. A write into the page cache has reached no disk.",
        "What memory can do bounds what any tier can do.",
        "The 70B row uses 80 layers and 8 KV heads of 128.",
        "Every variant of this day is a baseline of the days after it.",
    ]
    heads = ["Storage reads", "Storage writes", "Memory ceilings", "Memory footprint", "KV store"]
    store = metrics.summary(rows.filter(pl.col("metric") == "kv_store"))
    table = table_html(store.select("variant", "unit", "min", "median", "max"), "KV store rates")
    cells = [
        new_markdown_cell(
            "# Day 1: where are we?\n\nThe hypothesis: on a commodity disk, reads in blocks of 16 "
            "to 64 KiB reach 90 % of the device. It is refuted if the interval lies below.\n\n"
            "| target | wanted |\n|---|--:|\n| storage | 75 GB/s |\n| KV store | 50,000 tokens/s |"
        ),
        executed('preset: str = "standard"  # how much to measure', tags=("parameters",)),
        executed(
            'from workbench import day\n\nd = day.open("day01", locals())',
            [shown({"text/html": '<p class="workbench-chip">run 20261124, git 0da0350</p>'})],
            ("setup",),
        ),
    ]
    for head, words, figure in zip(heads, text, figures, strict=True):
        cells.append(new_markdown_cell(f"## {head}\n\n{words}"))
        output = [shown(bundled(figure))]
        if head == "KV store":
            output.insert(0, shown({"text/html": table, "text/plain": "a table"}))
        cells.append(executed(f"d.show({head.lower().replace(' ', '_')})", output, ("chart",)))
    cells.append(new_markdown_cell("## What did not work\n\n- Direct I/O in blocks below 4 KiB."))
    return notebook(cells)


def verdict(median: float = 28.7, outcome: str = "holds", claim: str = ">= 10x") -> VerdictRecord:
    """Return a verdict whose interval is 4 % wide."""
    return VerdictRecord.model_validate(
        {
            "metric": "kv_store",
            "claim": claim,
            "contender": "njit_scalar",
            "baseline": "python_per_head",
            "ratio": {
                "median": median,
                "low": median * 0.98,
                "high": median * 1.02,
                "n_rounds": 20,
            },
            "verdict": outcome,
            "sentence": "One compiled loop over layers and heads stores tokens "
            f"{median:.1f} times as fast as a Python loop per head.",
        }
    )


def record(run_id: str, **changes: Any) -> RunRecord:
    """Return a finished Day 1 record."""
    facts: dict[str, Any] = {
        "run_id": run_id,
        "day": "day01",
        "preset": "standard",
        "params": PARAMS,
        "params_hash": "5ab1c0ffee12",
        "status": "ok",
        "started": "2026-11-24T03:40:00.000+00:00",
        "wall_s": 187.4,
        "compile_s": 6.2,
        "peak_rss_bytes": 1_610_612_736,
        "cells_done": 8,
        "cells_total": 8,
        "machine": MACHINE,
        "machine_id": "0f3a1b2c4d5e",
        "git_sha": "0da0350deadb",
        "branch": "main",
        "python": "CPython 3.11.7",
        "packages_hash": "9e180e0abc12",
    }
    return RunRecord.model_validate({**facts, **changes})


# Drawing takes most of the tests' time, so every chart is drawn once.
_BUNDLES: dict[int, tuple[Figure, dict[str, Any]]] = {}


def bundled(figure: Figure) -> dict[str, Any]:
    """Return the figure's mimebundle."""
    if id(figure) not in _BUNDLES:
        _BUNDLES[id(figure)] = (figure, bundle(figure))
    return _BUNDLES[id(figure)][1]


@cache
def day1_parts() -> tuple[pl.DataFrame, list[Figure], Any]:
    """Return rows, charts and executed notebook of one Day 1 run, made once."""
    rows = day1_rows()
    figures = day1_figures(rows)
    return rows, figures, day1_notebook(rows, figures)


def write_run(
    run: RunRecord,
    rows: pl.DataFrame | None = None,
    figures: list[Figure] | None = None,
    executed_notebook: Any = None,
) -> Path:
    """Write a run's folder as docs/structure.md describes it, and return it."""
    folder = paths.runs() / run.day / run.run_id
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(run.model_dump_json(indent=1))
    if rows is not None:
        metrics_file.write(folder / metrics_file.FILE_NAME, rows, run.run_id)
    if figures:
        bundles = [bundled(figure) for figure in figures]
        entries = [
            {"id": f"chart-{number}", **one[CHART_MIME], "svg": one["image/svg+xml"]}
            for number, one in enumerate(bundles, start=1)
        ]
        (folder / "figures.json").write_text(json.dumps(entries))
    if executed_notebook is not None:
        nbformat.write(executed_notebook, folder / "out.ipynb")
    return folder


def failed_notebook() -> Any:
    """Return a notebook that stopped in its third code cell."""
    traceback = [
        f"\x1b[31m{'-' * 75}\x1b[0m",
        f"\x1b[31mOSError\x1b[0m{' ' * 35}Traceback (most recent call last)",
        "Cell \x1b[32mIn[3], line 1\x1b[0m",
        "\x1b[32m----> 1\x1b[39m rows = storage.sweep(d.store)\n",
        "\x1b[31mOSError\x1b[0m: [Errno 28] No space left on device",
    ]
    error = new_output(
        "error",
        ename="OSError",
        evalue="[Errno 28] No space left on device",
        traceback=traceback,
    )
    return notebook(
        [
            new_markdown_cell("# Day 1\n\nA run that stopped.\n\n## Storage reads"),
            executed('preset: str = "tiny"', tags=("parameters",)),
            executed("d = day.open('day01', locals())"),
            executed("rows = storage.sweep(d.store)", [error]),
            new_code_cell("d.show(storage_chart)"),
        ]
    )


SWEEP = "5eed5eed5eed"
_REPLAY: dict[str, Any] = {
    "preset": "tiny",
    "seed": 0,
    "store": "data/store",
    "trace": "kv-cache-tester",
    "policy": "lru",
    "ram_gib": 16,
    "ssd_gib": 128,
    "codec": "none",
    "write": "write_through",
    "read_gb_s": 3.0,
    "prefill_tokens_s": 8000,
}


def swept(number: int, ratio: float | None = None, **changes: Any) -> RunRecord:
    """Return one run of a sweep of trace replays, its parameters in ``params``."""
    facts: dict[str, Any] = {
        "day": "trace_replay",
        "preset": "tiny",
        "params": {**_REPLAY, **changes.pop("params", {})},
        "started": f"2026-11-24T05:{number:02d}:00.000+00:00",
        "sweep": SWEEP,
        "wall_s": 12.5 + number,
    }
    if ratio is not None:
        outcome = "holds" if ratio >= 1.2 else "refuted"
        told = {"metric": "ttft_mean", "contender": "int8", "baseline": "memory_alone"}
        words = "Mean time to the first token, with the SSD against without."
        judged = verdict(ratio, outcome, ">= 1.2x").model_copy(update={**told, "sentence": words})
        facts |= {"verdict": judged, "status": "ok" if outcome == "holds" else "refuted"}
    return record(f"20261124T05{number:02d}00Z-5ee9{number:02d}", **{**facts, **changes})


def sweep_records() -> list[RunRecord]:
    """Return a sweep as it can go: 2 x 3 x 2 points on two machines, in every state there is."""
    laptop = {"machine": OTHER_MACHINE, "machine_id": "77aa88bb99cc"}
    unknown = {"machine": {}, "machine_id": ""}
    ratios = [1.99, 3.29, 2.36, 3.35, 1.1, 1.13, 2.23, 3.39, None, None, 0.9]
    ends: dict[int, dict[str, Any]] = {
        3: {"attempts": 2},
        7: laptop,
        8: {"status": "failed", "reason": "MemoryError: 16 GiB"},
        9: {"status": "killed", "attempts": 3, "reason": "its worker was lost", **unknown},
        10: laptop,
    }
    grid = [
        {"policy": policy, "ssd_gib": size, "codec": codec}
        for policy in ("s3_fifo", "lru")
        for size in (64, 256, 1024)
        for codec in ("none", "int8")
    ]
    return [
        swept(number, ratio, params=grid[number], **ends.get(number, {}))
        for number, ratio in enumerate(ratios)
    ]


def write_sample_registry() -> RunRecord:
    """Write a registry as a week of work leaves it; return the record of its latest good run."""
    rows, figures, notebook_of_day1 = day1_parts()
    for number, ratio in enumerate((24.1, 26.0, 25.2, 27.9)):
        started = f"2026-11-2{number}T09:15:00.000+00:00"
        run = record(
            f"2026112{number}T091500Z-a1b2c{number}", started=started, verdict=verdict(ratio)
        )
        write_run(run, rows)
    refuted = verdict(8.4, "refuted")
    other = {"machine": OTHER_MACHINE, "machine_id": "77aa88bb99cc"}
    write_run(
        record(
            "20261122T120000Z-0e0e01",
            started="2026-11-22T12:00:00.000+00:00",
            status="refuted",
            reason=refuted.sentence,
            verdict=refuted,
            label="laptop",
            **other,
        ),
        rows,
        figures,
    )
    write_run(
        record(
            "20261123T160000Z-0e0e02",
            started="2026-11-23T16:00:00.000+00:00",
            status="undecided",
            reason="other runs measured at the same time, so the verdict does not count",
            verdict=verdict(27.0, "undecided"),
            contended=True,
            git_dirty=True,
            params={**PARAMS, "block_kib": 64},
        ),
        day1_rows(seed=1, faster=0.9),
    )
    good = record("20261124T034000Z-5eed01", verdict=verdict(), label="after the copy kernels")
    write_run(good, rows, figures, notebook_of_day1)
    write_run(
        record(
            "20261124T050000Z-5eed02",
            started="2026-11-24T05:00:00.000+00:00",
            status="failed",
            reason="OSError: [Errno 28] No space left on device",
            failed_cell={
                "number": 3,
                "tag": "storage",
                "first_line": "rows = storage.sweep(d.store)",
            },
            preset="tiny",
            params={**PARAMS, "preset": "tiny", "block_kib": 4},
            cells_done=2,
            wall_s=12.6,
        ),
        executed_notebook=failed_notebook(),
    )
    bench = paths.runs() / "bench"
    bench.mkdir()
    lines = [
        {
            "case": "non_temporal, 1 thread",
            "ratio": 0.97,
            "low": 0.95,
            "high": 0.98,
            "bar": ">= 0.9x",
        },
        {"case": "numpy, 1 thread", "ratio": 0.64, "low": 0.63, "high": 0.66, "bar": None},
        {"case": "memcpy, 2 threads", "ratio": 0.81, "low": 0.79, "high": 0.84, "bar": ">= 0.9x"},
    ]
    told = {"bench": "memory_ceiling", "ceiling": 12.4, "unit": "GB/s"}
    place = {"machine_id": "0f3a1b2c4d5e"}
    met = [line["bar"] and line["low"] >= 0.9 for line in lines]
    text = [
        json.dumps({**told, **line, "met": ok, **place})
        for line, ok in zip(lines, met, strict=True)
    ]
    (bench / "memory_ceiling.jsonl").write_text("\n".join(text) + "\n")
    return good
