"""Frames through a codec: batches in order, two threads at once, failures, a reader that fails."""

import threading

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.compression import KEEP_NOTHING
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.coded_frames import BATCH_FRAMES, CodedFrames, Plain, Wanted
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

LAYOUT = BlockLayout(KVGeometry(2, 2, 64, "float16"), 8, 2)


@pytest.fixture
def coded():
    refused = []
    with CodedFrames("lossless", LAYOUT, refused.append) as frames:
        frames.refused = refused
        yield frames


def some(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, LAYOUT.frame_bytes // 2)).astype(np.float16).view(np.uint8)


def encoded(coded, frames):
    stored = []
    for at in range(0, len(frames), BATCH_FRAMES):
        plain = [Plain(0, frame, KEEP_NOTHING) for frame in frames[at : at + BATCH_FRAMES]]
        stored += [one.copy() for one in coded.encode(plain)]
    return stored


def wanted(back):
    return [Wanted(bytes([number]), 0, view) for number, view in enumerate(back)]


def reading(stored):
    return lambda frames: [
        None if stored[one.key[0]] is None else stored[one.key[0]].data for one in frames
    ]


@pytest.mark.parametrize("n_frames", [0, 1, 4, 5, 17, 100])
def test_every_frame_is_decoded_in_its_place(coded, n_frames):
    frames = some(n_frames)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    assert coded.fetch(wanted(back), reading(stored)) == [True] * n_frames
    np.testing.assert_array_equal(back, frames)


def test_what_is_missing_or_wrong_is_not_here_and_only_the_wrong_is_counted(coded):
    frames = some(3)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    payloads = [None, stored[1], stored[2][:-1]]
    assert coded.fetch(wanted(back), reading(payloads)) == [False, True, False]
    assert coded.undecoded == 1
    assert coded.refused == [bytes([2])]


def test_a_reader_that_fails_leaves_no_thread_waiting(coded):
    frames = some(40)
    stored, back = encoded(coded, frames), np.zeros_like(frames)

    def broken(some):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        coded.fetch(wanted(back), broken)
    assert coded.fetch(wanted(back), reading(stored)) == [True] * 40


def test_threads_have_their_own_scratch(coded):
    failures = []

    def work(seed):
        frames = some(20, seed)
        for _ in range(5):
            stored, back = encoded(coded, frames), np.zeros_like(frames)
            here = coded.fetch(wanted(back), reading(stored))
            if not all(here) or not np.array_equal(back, frames):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_codec_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="keeps int8"):
        CodedFrames("int4", BlockLayout(KVGeometry(2, 2, 64, "int8")), print)
