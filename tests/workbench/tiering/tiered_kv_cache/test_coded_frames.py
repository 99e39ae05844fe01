"""Frames through a codec: batches in order, two threads at once, failures, a reader that fails."""

import threading

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.compression import KEEP_NOTHING
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.coded_frames import BATCH_FRAMES, CodedFrames, Plain, Stored
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

LAYOUT = BlockLayout(KVGeometry(2, 2, 64, "float16"), 8, 2)


@pytest.fixture
def coded():
    with CodedFrames("lossless", LAYOUT) as frames:
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


@pytest.mark.parametrize("n_batches", [0, 1, 5])
def test_every_batch_is_decoded_in_its_place(coded, n_batches):
    frames = some(3 * n_batches)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    batches = (
        [Stored(0, stored[i].data, back[i]) for i in range(3 * n, 3 * n + 3)]
        for n in range(n_batches)
    )
    assert coded.decode_all(batches) == [True] * 3 * n_batches
    np.testing.assert_array_equal(back, frames)


def test_what_is_missing_or_wrong_is_not_here_and_only_the_wrong_is_counted(coded):
    frames = some(3)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    payloads = [None, stored[1].data, stored[2][:-1].data]
    batch = [Stored(0, payload, view) for payload, view in zip(payloads, back, strict=True)]
    assert coded.decode_all(iter([batch])) == [False, True, False]
    assert coded.undecoded == 1


def test_a_reader_that_fails_leaves_no_thread_waiting(coded):
    frames = some(2)
    stored, back = encoded(coded, frames), np.zeros_like(frames)

    def reading():
        for number in (0, 1):
            yield [Stored(0, stored[number].data, back[number])]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        coded.decode_all(reading())
    assert coded.decode_all(iter([[Stored(0, stored[0].data, back[0])]])) == [True]


def test_threads_have_their_own_scratch(coded):
    failures = []

    def work(seed):
        frames = some(20, seed)
        for _ in range(5):
            stored, back = encoded(coded, frames), np.zeros_like(frames)
            batches = ([Stored(0, one.data, view)] for one, view in zip(stored, back, strict=True))
            if not all(coded.decode_all(batches)) or not np.array_equal(back, frames):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_codec_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="keeps int8"):
        CodedFrames("int4", BlockLayout(KVGeometry(2, 2, 64, "int8")))
