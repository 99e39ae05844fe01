"""Put what codecs cost and gain into one grid: bytes, speed, restore and quality side by side.

Follows: speed, bytes and quality stand in one table; metric rows for the charts beside it.
Leaves out: measuring (codec_rates.py, codec_restore.py, codec_quality.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.codecs.codec_damage import Damage
from workbench.benchmark.codecs.codec_quality import LAST_BIT, RESTORED, Quality
from workbench.benchmark.codecs.codec_rates import COPY, CodecSpeed
from workbench.benchmark.codecs.codec_restore import CodecRestore
from workbench.benchmark.statistics import Ratio
from workbench.tiering import compression
from workbench.tiering.compression.choice import CodecRates, choose, load_seconds

# Device speeds that the choice is shown for, GB/s.
DEVICES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
MOST_CHANGE = 0.005
# Kept out of the floor by their own definition: they lose nothing.
_EXACT = frozenset(name for name, codec in compression.CODECS.items() if codec.is_exact)


@dataclass(frozen=True, slots=True)
class Grid:
    """One geometry's codecs; a codec's restore and quality are of the real model's geometry."""

    speed: CodecSpeed
    restore: CodecRestore | None = None
    quality: Quality | None = None

    @property
    def geometry(self) -> str:
        """Return layers x heads x values of a head."""
        shape = self.speed.geometry
        return f"{shape.layers}x{shape.kv_heads}x{shape.head_dim}"

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows codec_ratio, codec_encode, codec_decode, codec_copy and codec_restore."""
        case, samples = f"geometry={self.geometry}", self.speed.samples
        rows = [
            metrics.rows(
                "codec_copy", "GB/s", samples.rate(COPY) / 1e9, case=case, variant="copy_ceiling"
            )
        ]
        rows += [
            metrics.rows("codec_ratio", "ratio", [ratio], case=case, variant=name)
            for name, ratio in self.speed.ratios.items()
        ]
        for name in (*self.speed.ratios, *self.speed.beside):
            for step in ("encode", "decode"):
                rates = samples.rate(f"{step} {name}") / 1e9
                rows.append(metrics.rows(f"codec_{step}", "GB/s", rates, case=case, variant=name))
        if self.restore is not None:
            rows += [
                metrics.rows("codec_restore", "s", seconds, tier="device", case=case, variant=name)
                for name, seconds in self.restore.samples.seconds.items()
            ]
        return pl.concat(rows)

    @property
    def table(self) -> pl.DataFrame:
        """Return one row a codec, one a further step, and the copy's: the ceiling of all rates."""
        copied = self.speed.samples.median_rate(COPY) / 1e9
        ceiling = {"codec": COPY, "encode, GB/s": copied, "decode, GB/s": copied}
        rows = [self._row(name) for name in self.speed.ratios]
        return pl.DataFrame([*rows, *map(self._step, self.speed.beside), ceiling])

    def _step(self, name: str) -> dict[str, object]:
        rates = {
            f"{way}, GB/s": self.speed.samples.median_rate(f"{way} {name}") / 1e9
            for way in ("encode", "decode")
        }
        return {"codec": name, **rates}

    def _row(self, name: str) -> dict[str, object]:
        samples, plain = self.speed.samples, self.speed.geometry.bytes_per_token
        row: dict[str, object] = {
            "codec": name,
            "bytes/token": round(plain / self.speed.ratios[name]),
            "times smaller": self.speed.ratios[name],
            "encode, GB/s": samples.median_rate(f"encode {name}") / 1e9,
            "decode, GB/s": samples.median_rate(f"decode {name}") / 1e9,
        }
        if self.restore is not None:
            row["restore, ms"] = 1e3 * float(np.median(self.restore.samples.seconds[name]))
            row["of none's"] = self.restore.time_ratio(name).median
        if self.quality is not None:
            damage = damage_of(self.quality, name)
            row["perplexity, %"] = 100 * damage.perplexity_change if damage else 0.0
            row["KL, nats"] = float(damage.kl.mean()) if damage else 0.0
            row["top-1"] = f"{damage.same_top.mean():.1%}" if damage else "100.0%"
        return row

    def rates(self) -> list[CodecRates]:
        """Return what the choice needs to know; both threads that decode count."""
        samples = self.speed.samples
        found = []
        for name, ratio in self.speed.ratios.items():
            damage = damage_of(self.quality, name) if self.quality else None
            decode = 2 * samples.median_rate(f"decode {name}") / 1e9
            if name == "none":
                decode = float("inf")
            found.append(CodecRates(name, ratio, decode, float(damage.kl.mean()) if damage else 0))
        return found


def damage_of(quality: Quality, name: str, how: str = RESTORED) -> Damage | None:
    """Return what was found of a codec; None if it was not scored, as those that are exact.

    What zstandard packs comes back bit for bit: a combination does what its first codec does.
    """
    scored = name.removesuffix("+zstd")
    return next((one for one in quality.damages if (one.name, one.how) == (scored, how)), None)


def quality_metrics(quality: Quality) -> pl.DataFrame:
    """Return rows codec_kl, codec_perplexity_change and codec_top1, one a codec and way."""
    rows = []
    for damage in quality.damages:
        numbers = {
            "codec_kl": ("nats", float(damage.kl.mean())),
            "codec_perplexity_change": ("ratio", damage.perplexity_change),
            "codec_top1": ("ratio", float(damage.same_top.mean())),
        }
        rows += [
            metrics.rows(name, unit, [value], case=damage.how, variant=damage.name)
            for name, (unit, value) in numbers.items()
        ]
    return pl.concat(rows)


def quality_table(quality: Quality) -> pl.DataFrame:
    """Return one row a codec and way of applying it."""
    rows: list[dict[str, object]] = []
    for damage in quality.damages:
        low, high = damage.interval()
        is_decoded = damage.decode_tokens_s > 0
        rows.append(
            {
                "codec": damage.name,
                "applied to": damage.how,
                "perplexity, %": 100 * damage.perplexity_change,
                "from, %": 100 * low,
                "to, %": 100 * high,
                "KL, nats": float(damage.kl.mean()),
                "top-1": f"{damage.same_top.mean():.1%}",
                "greedy same": float(damage.greedy_same.mean()) if is_decoded else None,
                "tokens/s": damage.decode_tokens_s if is_decoded else None,
            }
        )
    return pl.DataFrame(rows)


def quality_notes(quality: Quality, is_exact: bool) -> tuple[str, ...]:
    """Return what a reader must know beside the figures."""
    n = quality.damages[0].log_ratio.size
    scorer = "float32 throughout" if is_exact else "the fast pass, whose activations are int8"
    return (
        f"{n:,} tokens of CPython's own English scored by {scorer}; perplexity "
        f"{quality.perplexity:.1f} without a codec; intervals at 99 % over tokens",
        f"'{LAST_BIT}' moves half of all float16 by their last bit: what the scorer makes of "
        "nothing at all. 'Greedy same' is how many greedy tokens are the same before they part; "
        "they and their rate are the fast pass's",
    )


def choice_metrics(rates: Sequence[CodecRates], plain_bytes: float) -> pl.DataFrame:
    """Return rows codec_load_time: seconds of a load by codec, over devices' speeds."""
    return pl.concat(
        metrics.rows(
            "codec_load_time",
            "s",
            [load_seconds(one, plain_bytes, gb_s)],
            case=f"read_gb_s={gb_s:g}",
            variant=one.name,
        )
        for one in rates
        for gb_s in DEVICES
    )


def choice_table(
    rates: Sequence[CodecRates], plain_bytes: float, here_gb_s: float, kl_at_most: float
) -> pl.DataFrame:
    """Return for each device's speed, this one's first, the choice and what others would take."""
    rows: list[dict[str, object]] = []
    for gb_s in (here_gb_s, *DEVICES):
        best = choose(rates, plain_bytes, gb_s, kl_at_most)
        times = {
            one.name: 1e3 * load_seconds(one, plain_bytes, gb_s)
            for one in rates
            if one.kl <= kl_at_most
        }
        here = " (here)" if not rows else ""
        rows.append({"device, GB/s": f"{gb_s:.3g}{here}", "chosen": best.name, **times})
    return pl.DataFrame(rows)


def smallest_good(grid: Grid) -> tuple[str, Ratio]:
    """Return the codec that makes blocks smallest at a perplexity change below `MOST_CHANGE`."""
    assert grid.quality is not None
    good = {}
    for name, ratio in grid.speed.ratios.items():
        damage = damage_of(grid.quality, name)
        is_good = damage.perplexity_change < MOST_CHANGE if damage else name in _EXACT
        if is_good:
            good[name] = ratio
    best = max(good, key=good.__getitem__)
    # Counted, not timed: the same every time, so its interval is a point.
    return best, Ratio(good[best], good[best], good[best], 1)
