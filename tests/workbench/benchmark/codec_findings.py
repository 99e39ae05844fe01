"""Made-up findings of codecs, for tables, bars and charts."""

import numpy as np

from workbench.benchmark.codecs.codec_damage import Damage
from workbench.benchmark.codecs.codec_quality import LAST_BIT, RESTORED, WORST, Quality
from workbench.benchmark.codecs.codec_rates import COPY, CodecSpeed
from workbench.benchmark.codecs.codec_restore import CodecRestore
from workbench.benchmark.codecs.codec_tables import Grid
from workbench.benchmark.paired import Samples
from workbench.tiering.kv_geometry import KVGeometry

GEOMETRY = KVGeometry(2, 1, 64, "float16")
RATIOS = {"none": 1.0, "lossless": 1.2, "int8": 1.9, "int4-hadamard": 3.5}
DECODE_GB_S = {"none": 9.0, "lossless": 1.0, "int8": 8.0, "int4-hadamard": 2.0}
RESTORE_S = {"none": 0.1, "lossless": 0.12, "int8": 0.05, "int4-hadamard": 0.08}


def damage(name, change, kl=0.0002, how=RESTORED, same=1.0, rate=50.0):
    log_ratio = np.full(40, np.log1p(change))
    tops = np.arange(40) < same * 40
    return Damage(name, how, log_ratio, np.full(40, kl), tops, np.array([8, 16]), rate)


def quality(int4_change=0.004, int4_kl=0.003, int4_same=0.98):
    shape = (64, 2, 1, 64)
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, *shape)).astype(np.float16)
    damages = (
        damage(LAST_BIT, 0.0, 0.001),
        damage("int8", 0.0004),
        damage("int4-hadamard", int4_change, int4_kl, same=int4_same),
        damage("int8", 0.01, 0.01, WORST, rate=0.0),
    )
    return Quality(damages, k, v, 21.5, 200.0)


def speed():
    seconds, rounds = {COPY: 1 / 10}, 10
    for name, rate in DECODE_GB_S.items():
        seconds |= {f"encode {name}": 1 / rate, f"decode {name}": 1 / rate}
    samples = Samples(
        {name: np.full(rounds, one) for name, one in seconds.items()}, dict.fromkeys(seconds, 1e9)
    )
    return CodecSpeed(GEOMETRY, samples, RATIOS)


def restore():
    seconds = {name: np.full(10, one) for name, one in RESTORE_S.items()}
    return CodecRestore(Samples(seconds, dict.fromkeys(seconds, 2e8)), dict.fromkeys(seconds, 1))


def grid(**changes):
    return Grid(speed(), restore(), quality(**changes))
