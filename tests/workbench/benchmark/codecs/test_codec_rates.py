"""Rates of codecs beside a copy: cases, ratios, frames of real sequences."""

import numpy as np
import pytest

from workbench.benchmark.codecs import codec_rates
from workbench.benchmark.codecs.codec_rates import COPY
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache

LAYOUT = BlockLayout(KVGeometry(3, 2, 64, "float16"), 16, 2)


def test_every_codec_is_timed_both_ways_and_its_ratio_counted():
    frames = codec_rates.random_frames(LAYOUT, 3, seed=0)
    found = codec_rates.measure(LAYOUT, frames, ["none", "int8", "lossless"], 2)
    assert set(found.samples.seconds) == {
        COPY,
        *(f"{step} {name}" for step in ("encode", "decode") for name in found.ratios),
    }
    assert all((seconds > 0).all() for seconds in found.samples.seconds.values())
    assert found.ratios["int8"] == pytest.approx(128 / 66)
    assert found.ratios["lossless"] > 1
    assert found.samples.work[COPY] == frames.nbytes


def test_what_else_is_done_to_a_frame_is_timed_beside():
    frames = codec_rates.random_frames(LAYOUT, 2, seed=0)
    seen = {"out": 0, "back": 0}

    def count(way):
        def step(frame):
            assert frame.nbytes == LAYOUT.frame_bytes
            seen[way] += 1

        return step

    found = codec_rates.measure(LAYOUT, frames, [], 2, {"seal": (count("out"), count("back"))})
    assert seen == {"out": 6, "back": 6}
    assert found.beside == ("seal",)
    assert {"encode seal", "decode seal"} <= set(found.samples.seconds)


def test_frames_are_a_caches_own():
    rng = np.random.default_rng(0)
    k, v = rng.standard_normal((2, 40, 3, 2, 64)).astype(np.float16)
    config = CacheConfig(LAYOUT.geometry, 1 << 20, block_tokens=16, frame_layers=2)
    with TieredKVCache(config) as cache, cache.sequence() as sequence:
        sequence.append(range(40), k, v)
        blocks = [run.memory[slot] for run in sequence.runs(0) for slot in run.slots[:2]]
        expected = np.concatenate(blocks).reshape(-1, LAYOUT.frame_bytes)
    frames = codec_rates.frames_of(LAYOUT, k, v)
    assert len(frames) == 4
    for number, (got, want) in enumerate(zip(frames, expected, strict=True)):
        n_bytes = (2 if number % 2 == 0 else 1) * LAYOUT.layer_bytes
        np.testing.assert_array_equal(got[:n_bytes], want[:n_bytes])
