"""Write a number the way people read it: about three significant digits, its unit beside it.

Follows: KiB/MiB/GiB are powers of two, GB/s is 1e9 bytes a second (STYLE.md 2.3).
Leaves out: parsing; whoever needs the exact value reads metrics.parquet.
"""

from __future__ import annotations

import math
import re

MISSING = "\N{EN DASH}"
_TIMES = "\N{MULTIPLICATION SIGN}"
_BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_SHORT = {
    "kl": "KL divergence",
    "kv": "KV",
    "ssd": "SSD",
    "ttft": "time to first token",
    "io": "I/O",
}
_SHOWN_UNITS = {"us": "µs", "x": _TIMES, "ratio": _TIMES}


def number(value: float | None) -> str:
    """Return a number to about three digits, thousands separated; an en dash for none."""
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) or abs(value) >= 1e15:
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.2f}"
    return f"{value:#.3g}" if size else "0"


def quantity(value: float | None, unit: str) -> str:
    """Return a number with its unit: bytes in binary steps, ratios with a times sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    if unit == "bytes":
        return _bytes(value)
    if unit in ("x", "ratio"):
        return f"{value:.2f}{_TIMES}" if abs(value) < 9.995 else f"{number(value)}{_TIMES}"
    shown = unit_text(unit)
    return f"{number(value)} {shown}" if shown else number(value)


def unit_text(unit: str) -> str:
    """Return a unit as it is printed: us becomes µs."""
    return _SHOWN_UNITS.get(unit, unit)


def plain_name(name: str) -> str:
    """Return a variant's, tier's or metric's name as words: page_cache becomes page cache."""
    return name.replace("_", " ").strip()


def metric_name(name: str) -> str:
    """Return a metric's name as words, and abbreviations written out: kl becomes KL divergence."""
    words = [_SHORT.get(word, word) for word in plain_name(name).split()]
    if words[-1:] == ["mean"]:
        words = ["mean", *words[:-1]]
    return " ".join(words)


def claim_text(claim: str) -> str:
    """Return a claim as it is printed: ">= 2x" with the proper signs."""
    text = re.sub(r"(?<=\d)\s*x$", _TIMES, claim.strip())
    return text.replace(">=", "\N{GREATER-THAN OR EQUAL TO}").replace(
        "<=", "\N{LESS-THAN OR EQUAL TO}"
    )


def claim_factor(claim: str) -> float:
    """Return the ratio that a claim names: 2 for ">= 2x"."""
    return float(claim.strip().lstrip("<>=").rstrip("x"))


def duration(seconds: float | None) -> str:
    """Return seconds as 0.42 s, 12.3 s, 3 min 05 s or 1 h 04 min."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{number(float(seconds))} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _bytes(value: float) -> str:
    step = 0
    size = float(value)
    while abs(size) >= 1024 and step < len(_BYTE_UNITS) - 1:
        size /= 1024
        step += 1
    return f"{size:,.0f} bytes" if step == 0 else f"{number(size)} {_BYTE_UNITS[step]}"
