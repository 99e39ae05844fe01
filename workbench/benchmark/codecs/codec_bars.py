"""The named benchmarks of compression: what each measures, and the bar it has to reach.

Follows: what may be so much at most is held against what it is, more being better: 1 keeps the
bound exactly. Quality has no rounds: its median is the mean over tokens, judged as such.
Leaves out: the measuring (codec_rates.py, codec_restore.py, codec_quality.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from workbench import paths
from workbench.benchmark.codecs import codec_quality, codec_rates, codec_restore
from workbench.benchmark.codecs.codec_damage import Damage
from workbench.benchmark.codecs.codec_quality import LAST_BIT, RESTORED, QualityPlan
from workbench.benchmark.findings import SECONDS, Benchmark, Finding, Preset
from workbench.benchmark.kv import prefix_restore
from workbench.benchmark.statistics import Claim, Ratio
from workbench.inference.model_file import model_file
from workbench.tiering.kv_geometry import SEED
from workbench.tiering.tiered_kv_cache import BlockLayout

MODEL = "smollm2-135m"
_QUALITIES: Mapping[Preset, QualityPlan] = {
    "tiny": QualityPlan(1, 128, 32, 0, 0),
    "standard": QualityPlan(4, 384, 128, 0, 0),
    "full": QualityPlan(16, 384, 128, 4, 0),
}
# Frames of the seed geometry at float16 and rounds; tokens of the restored prefix and rounds.
_SPEEDS: Mapping[Preset, tuple[int, int]] = {
    "tiny": (4, 10),
    "standard": (16, 20),
    "full": (16, 40),
}
_RESTORES: Mapping[Preset, tuple[int, int]] = {
    "tiny": (512, 10),
    "standard": (4_096, 20),
    "full": (4_096, 40),
}
# Codec: least times smaller, most KL in nats, most perplexity change, least equal top-1.
_QUALITY_BARS: Mapping[str, tuple[float, float, float | None, float | None]] = {
    "int8": (1.88, 0.001, 0.001, None),
    "int4-hadamard": (3.4, 0.006, None, 0.98),
}
_LOSSLESS_RATIO = 1.16
_KEPT = Claim.parse(">= 1x")
SPEED_BAR, RESTORE_BAR = Claim.parse(">= 0.8x"), Claim.parse(">= 1.67x")
_TINY_COUNT = 1e-9


def _point(value: float) -> Ratio:
    """Return a ratio that is counted or averaged, not timed in rounds."""
    return Ratio(value, value, value, 1)


def _codec_quality(preset: Preset) -> list[Finding]:
    plan = _QUALITIES[preset]
    names = [LAST_BIT, "int8", "int8-channel", "int4", "int4-hadamard"]
    found = codec_quality.measure(model_file(MODEL), paths.store(), plan, names)
    layout = BlockLayout(prefix_restore.GEOMETRY)
    frames = codec_rates.frames_of(layout, found.k, found.v)
    speed = codec_rates.measure(layout, frames, ["lossless", *names[1:]], 10)
    findings = [_ratio(name, ratio) for name, ratio in speed.ratios.items()]
    for damage in found.damages:
        findings += _judged(damage)
    return [*findings, *_lossless_speed(found, speed.samples.median_rate("decode lossless"))]


def _ratio(name: str, ratio: float) -> Finding:
    least = _LOSSLESS_RATIO if name == "lossless" else _QUALITY_BARS.get(name, (None,))[0]
    claim = None if least is None else Claim(True, least)
    return Finding(f"codec={name} times smaller", _point(ratio), 1.0, "x", claim, True)


def _judged(damage: Damage) -> list[Finding]:
    case = f"codec={damage.name} {damage.how}"
    _, kl, change, top = _QUALITY_BARS.get(damage.name, (0.0, None, None, None))
    if damage.how != RESTORED:
        kl = change = top = None
    low, high = sorted(abs(end) for end in damage.interval())
    changed = max(abs(damage.perplexity_change), _TINY_COUNT)
    return [
        _most(f"{case} KL, nats", float(damage.kl.mean()), kl),
        Finding(
            f"{case} perplexity change",
            Ratio(changed, low, high, damage.log_ratio.size),
            1.0,
            "ratio",
            None if change is None else Claim(False, change),
            True,
        ),
        Finding(
            f"{case} top-1 agreement",
            _point(float(damage.same_top.mean())),
            1.0,
            "ratio",
            None if top is None else Claim(True, top),
            True,
        ),
    ]


def _most(case: str, value: float, most: float | None) -> Finding:
    claim = None if most is None else Claim(False, most)
    return Finding(case, _point(max(value, _TINY_COUNT)), 1.0, "nats", claim, True)


def _lossless_speed(found: codec_quality.Quality, decode_rate: float) -> Sequence[Finding]:
    """Hold decoding, on both of the threads that decode, against what loads of this disk reach."""
    restored = codec_restore.measure(paths.store(), found.k, found.v, ["none", "lossless"], 10)
    read = restored.samples.median_rate("none")
    case = "codec=lossless decoding, bit for bit, on two threads over loads from this disk"
    return [Finding(case, _point(2 * decode_rate / read), read / 1e9, "GB/s", _KEPT, True)]


def _codec_speed(preset: Preset) -> list[Finding]:
    n_frames, rounds = _SPEEDS[preset]
    judged = replace(SEED, dtype="float16")
    findings = []
    # The real model's frames are 21 times smaller: calls weigh as much more.
    for geometry, n in ((judged, n_frames), (prefix_restore.GEOMETRY, 4 * n_frames)):
        layout = BlockLayout(geometry)
        frames = codec_rates.random_frames(layout, n, seed=0)
        samples = codec_rates.measure(layout, frames, ["int8"], rounds).samples
        ceiling = samples.median_rate(codec_rates.COPY) / 1e9
        for case in ("encode int8", "decode int8"):
            ratio = samples.ratio(case, codec_rates.COPY)
            name = f"geometry={geometry.layers}x{geometry.kv_heads}x{geometry.head_dim} {case}"
            claim = SPEED_BAR if geometry == judged else None
            findings.append(Finding(name, ratio, ceiling, "GB/s", claim, True))
    return findings


def _codec_restore(preset: Preset) -> list[Finding]:
    n_tokens, rounds = _RESTORES[preset]
    geometry = prefix_restore.GEOMETRY
    shape = (n_tokens, geometry.layers, geometry.kv_heads, geometry.head_dim)
    rng = np.random.default_rng(0)
    k, v = (rng.standard_normal(shape, np.float32).astype(np.float16) for _ in range(2))
    names = ["none", codec_restore.KEPT_INT8, "int8", "int8-channel", "int4-hadamard"]
    found = codec_restore.measure(paths.store(), k, v, names, rounds)
    float16_s = float(np.median(found.samples.seconds["none"]))
    return [
        Finding(
            f"tokens={n_tokens} codec={name}",
            found.samples.ratio(name, "none"),
            float16_s,
            SECONDS,
            RESTORE_BAR if name in ("int8", codec_restore.KEPT_INT8) else None,
            True,
        )
        for name in names[1:]
    ]


CODEC_BENCHMARKS = (
    Benchmark(
        "codec_quality",
        "What does each codec do to a real model's text, and how much smaller does it make blocks?",
        "int8: 1.88x smaller, KL <= 0.001, perplexity change <= 0.1 %; int4-hadamard: 3.4x, KL <= "
        "0.006, top-1 >= 98 %; lossless: 1.16x, bit for bit, decoded faster than the disk reads",
        _codec_quality,
    ),
    Benchmark(
        "codec_speed",
        "How near do int8's encoder and decoder come to a copy of the same float16?",
        f"median {SPEED_BAR} of the copy, seed geometry at fp16, one thread",
        _codec_speed,
    ),
    Benchmark(
        "codec_restore",
        "How much sooner is a cold prefix in memory if a codec made it smaller?",
        f"int8: at most 0.6 of float16's time on the same disk, median {RESTORE_BAR} as soon",
        _codec_restore,
    ),
)
