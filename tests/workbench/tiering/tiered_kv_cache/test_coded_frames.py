"""Frames through a codec: batches in order, two threads at once, failures, a reader that fails."""

import threading
import time

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.compression import KEEP_NOTHING
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import coded_frames
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


def reading(stored, n_told=0):
    """Return a reader of stored bytes, which tells of the first so many while it reads."""

    def read(frames, tell):
        payloads = [stored[one.key[0]] for one in frames]
        for number, payload in enumerate(payloads[:n_told], 1):
            tell(number, payload.data)
        return [None if payload is None else payload.data for payload in payloads]

    return read


@pytest.mark.parametrize(
    ("n_frames", "n_told"), [(0, 0), (1, 1), (4, 0), (5, 5), (17, 16), (99, 3)]
)
def test_every_frame_is_decoded_in_its_place(coded, n_frames, n_told):
    frames = some(n_frames)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    assert coded.fetch(wanted(back), reading(stored, n_told)) == [True] * n_frames
    np.testing.assert_array_equal(back, frames)


def test_a_frame_is_decoded_while_later_ones_are_read(coded):
    frames = some(2)
    stored, back = encoded(coded, frames), np.zeros_like(frames)

    def read(some, tell):
        tell(1, stored[0].data)
        for _ in range(3_000):
            if np.array_equal(back[0], frames[0]):
                break
            time.sleep(0.01)
        np.testing.assert_array_equal(back, [frames[0], np.zeros_like(frames[1])])
        return [one.data for one in stored]

    assert coded.fetch(wanted(back), read) == [True, True]


def test_more_than_is_read_at_once_is_read_in_parts(coded, monkeypatch):
    monkeypatch.setattr(coded_frames, "_WINDOW_BYTES", 3 * 4096)
    frames, parts = some(8), []
    stored, back = encoded(coded, frames), np.zeros_like(frames)

    def read(some, tell):
        parts.append(len(some))
        return reading(stored)(some, tell)

    assert coded.fetch(wanted(back), read) == [True] * 8
    assert sum(parts) == 8
    assert len(parts) > 1
    np.testing.assert_array_equal(back, frames)


def test_what_is_missing_or_wrong_is_not_here_and_only_the_wrong_is_counted(coded):
    frames = some(3)
    stored, back = encoded(coded, frames), np.zeros_like(frames)
    payloads = [None, stored[1], stored[2][:-1]]
    assert coded.fetch(wanted(back), reading(payloads)) == [False, True, False]
    assert coded.undecoded == 1
    assert coded.refused == [bytes([2])]


def test_what_attention_could_not_read_is_refused_as_if_it_was_decoded():
    refused = []
    with CodedFrames("int4", LAYOUT, refused.append) as coded:
        stored = encoded(coded, some(2))
        one, other = wanted(np.zeros_like(some(2)))
        assert coded.stored_form() is not None
        assert coded.accept(one, stored[0])
        assert coded.undecoded == 0
        assert not coded.accept(other, stored[1][:-1])
        assert (coded.undecoded, refused) == (1, [bytes([1])])


def test_a_reader_that_fails_leaves_no_thread_waiting(coded):
    frames = some(40)
    stored, back = encoded(coded, frames), np.zeros_like(frames)

    def broken(some, tell):
        tell(1, stored[0].data)
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
