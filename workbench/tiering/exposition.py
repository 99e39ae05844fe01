"""Write numbers as Prometheus text.

Follows: Prometheus exposition format 0.0.4; only counters end in _total.
Leaves out: which numbers (each tier's stats.py), serving the text (unified_tier/metrics_page.py).
"""

from __future__ import annotations

from collections.abc import Mapping

Number = int | float


def counters(prefix: str, values: Mapping[str, object]) -> list[str]:
    """Return the lines of those of some values that are numbers, as counters."""
    return [line for name, one in _numbers(values) for line in _one(f"{prefix}_{name}_total", one)]


def gauges(prefix: str, values: Mapping[str, object]) -> list[str]:
    """Return the lines of those of some values that are numbers, as gauges."""
    return [
        line
        for name, one in _numbers(values)
        for line in _one(f"{prefix}_{name.removesuffix('_total')}", one)
    ]


def labelled(metric: str, value: Number, **labels: str) -> str:
    """Return one line of a metric with labels; its ``# TYPE`` is `typed`'s."""
    pairs = ",".join(f'{label}="{_escaped(said)}"' for label, said in labels.items())
    return f"{metric}{{{pairs}}} {value:.6g}"


def typed(metric: str, kind: str = "gauge") -> str:
    """Return the line that says what a metric is."""
    return f"# TYPE {metric} {kind}"


def info(metric: str, **labels: str) -> list[str]:
    """Return the lines of a metric whose labels are what it says."""
    return [typed(metric), labelled(metric, 1, **labels)]


def page(lines: list[str]) -> str:
    """Return lines as one text."""
    return "\n".join(lines) + "\n"


def _numbers(values: Mapping[str, object]) -> list[tuple[str, Number]]:
    return [(name, one) for name, one in values.items() if isinstance(one, int | float)]


def _one(metric: str, value: Number) -> list[str]:
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    kind = "counter" if metric.endswith("_total") else "gauge"
    return [typed(metric, kind), f"{metric} {shown}"]


def _escaped(said: str) -> str:
    return said.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
