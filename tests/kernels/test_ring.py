"""The ring's loops on a real io_uring: wrap-around, short transfers, stale answers, deadlines."""

import errno
import os
import threading
import time

import numpy as np
import pytest
from numba import config

from kernels import ring as loops
from kernels import ring_job
from workbench.tiering.async_io.ring import Ring, RingRefusedError

DEPTH = 8
SECOND_NS = 1_000_000_000


def usable() -> str:
    try:
        Ring(1).close(0)
    except RingRefusedError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(usable()), reason=f"no io_uring: {usable()}")


@pytest.fixture
def ring():
    ring = Ring(DEPTH)
    yield ring
    ring.close(time.monotonic_ns() + SECOND_NS)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def nops(n: int) -> np.ndarray:
    jobs = np.zeros((n, ring_job.JOB_COLUMNS), dtype=np.int64)
    jobs[:, ring_job.WORD] = ring_job.NOP
    return jobs


def reading(fd: int, buffer: np.ndarray, offset: int = 0) -> np.ndarray:
    jobs = np.zeros((1, ring_job.JOB_COLUMNS), dtype=np.int64)
    jobs[0, : ring_job.BUFFER] = ring_job.READ | fd << 32, offset, buffer.ctypes.data, buffer.nbytes
    return jobs


def drive(ring: Ring, jobs: np.ndarray, seconds: float = 10.0, drain: bool = True) -> int:
    end_ns = time.monotonic_ns() + int(seconds * SECOND_NS)
    return ring.drive(jobs, len(jobs), len(jobs) if drain else 0, 2, end_ns)


def in_flight(ring: Ring) -> int:
    return int((ring.slots[:, loops.JOB] != loops.FREE).sum())


def test_a_hundred_thousand_requests_go_round_both_rings_many_times(ring):
    n_jobs = 3_000 if config.DISABLE_JIT else 120_000
    jobs = nops(n_jobs)
    ring.begin()
    assert drive(ring, jobs, 100) == 0
    assert (jobs[:, ring_job.ENDED_NS] > 0).all()
    assert (jobs[:, ring_job.ENDED_NS] >= jobs[:, ring_job.STARTED_NS]).all()
    assert ring.slots[:, loops.GENERATION].sum() == n_jobs
    assert n_jobs > 50 * (ring.words[loops.CQ_MASK] + 1)
    assert ring.n_free == DEPTH
    assert sorted(ring.free) == list(range(DEPTH))
    assert ring.words[loops.STRAY] == ring.words[loops.STALE] == 0


def test_no_more_than_the_depth_is_ever_in_flight(ring, pipe):
    buffer = np.zeros(100, np.uint8)
    jobs = np.repeat(reading(pipe[0], buffer[:1]), 3 * DEPTH, axis=0)
    ring.begin()
    # Nothing is in the pipe, so what was submitted stays in flight.
    assert drive(ring, jobs, 0.05, drain=False) == -errno.ETIME
    assert in_flight(ring) == DEPTH
    assert ring.words[loops.NEXT] == DEPTH
    os.write(pipe[1], bytes(3 * DEPTH))
    assert drive(ring, jobs) == 0
    assert (jobs[:, ring_job.MOVED] == 1).all()


def test_without_draining_it_returns_when_all_is_submitted(ring, pipe):
    buffer = np.zeros(4, np.uint8)
    jobs = reading(pipe[0], buffer)
    ring.begin()
    assert drive(ring, jobs, drain=False) == 0
    assert jobs[0, ring_job.ENDED_NS] == 0
    os.write(pipe[1], b"late")
    assert drive(ring, jobs) == 0
    assert bytes(buffer) == b"late"


@pytest.mark.parametrize(
    ("generation_off", "slot"), [(-1, 0), (1, 0), (0, DEPTH + 3), (-1, DEPTH - 1)]
)
def test_uring_stale_cqe_completes_nothing(ring, pipe, generation_off, slot):
    """Mooncake #3073: the answer of a failed batch was counted for the next one."""
    buffer = np.zeros(4, np.uint8)
    jobs = reading(pipe[0], buffer)
    for _ in range(3):
        ring.begin()
        drive(ring, nops(DEPTH))
    ring.begin()
    assert drive(ring, jobs, drain=False) == 0
    busy = int(np.flatnonzero(ring.slots[:, loops.JOB] == 0)[0])
    aimed = busy if slot < DEPTH else slot
    generation = int(ring.slots[busy, loops.GENERATION]) + generation_off
    forged = (generation << loops.SLOT_BITS) | aimed
    loops.push(ring.words, ring_job.NOP, 0, 0, 0, forged, 0)
    assert drive(ring, jobs, 0.05) == -errno.ETIME
    assert ring.words[loops.STRAY] == 1
    assert jobs[0, ring_job.ENDED_NS] == 0
    os.write(pipe[1], b"real")
    assert drive(ring, jobs) == 0
    assert bytes(buffer) == b"real"
    assert ring.n_free == DEPTH


def test_a_second_answer_for_a_free_slot_frees_it_only_once(ring):
    ring.begin()
    drive(ring, nops(1))
    slot = int(np.flatnonzero(ring.slots[:, loops.GENERATION])[0])
    forged = (int(ring.slots[slot, loops.GENERATION]) << loops.SLOT_BITS) | slot
    loops.push(ring.words, ring_job.NOP, 0, 0, 0, forged, 0)
    ring.begin()
    drive(ring, nops(1))
    assert ring.words[loops.STRAY] == 1
    assert sorted(ring.free) == list(range(DEPTH))


def test_an_abandoned_request_answers_late_and_frees_its_slot(ring, pipe):
    buffer = np.zeros(4, np.uint8)
    jobs = reading(pipe[0], buffer)
    ring.begin()
    assert drive(ring, jobs, 0.02) == -errno.ETIME
    assert loops.abandon(ring.slots) == 1
    # The next batch has the ring for itself, less one slot.
    ring.begin()
    assert drive(ring, nops(100)) == 0
    assert ring.n_free == DEPTH - 1
    os.write(pipe[1], b"late")
    ring.begin()
    later = nops(100)
    assert drive(ring, later) == 0
    loops.enter(ring.words, 0, 0)
    loops.reap(ring.words, ring.slots, ring.free, later, 1)
    assert ring.words[loops.STALE] == 1
    assert ring.n_free == DEPTH
    assert jobs[0, ring_job.ENDED_NS] == 0


def test_uring_short_read_goes_on_where_it_stopped(ring, pipe):
    """Mooncake #3066: a short read was taken for a full one."""
    buffer = np.zeros(3000, np.uint8)
    jobs = reading(pipe[0], buffer)
    content = np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8)
    ring.begin()
    os.write(pipe[1], content[:1000].tobytes())
    assert drive(ring, jobs, 0.05) == -errno.ETIME
    assert jobs[0, ring_job.MOVED] == 1000
    for start in (1000, 2000):
        os.write(pipe[1], content[start : start + 1000].tobytes())
        drive(ring, jobs, 0.05)
    assert jobs[0, ring_job.MOVED] == 3000
    assert jobs[0, ring_job.ENDED_NS] > 0
    np.testing.assert_array_equal(buffer, content)
    assert ring.words[loops.SHORT] == 2


@pytest.mark.parametrize("pieces", [[3000], [1, 2999], [100, 300, 2600], [250, 250, 2500], [999]])
def test_short_vectored_reads_go_on_in_the_right_buffer(ring, pipe, pieces):
    lengths = [100, 150, 0, 1000, 1750]
    buffers = [np.zeros(length, np.uint8) for length in lengths]
    table = np.array([(one.ctypes.data, one.nbytes) for one in buffers], dtype=np.int64)
    jobs = reading(pipe[0], np.zeros(1, np.uint8))
    jobs[0, ring_job.WORD] += ring_job.READV - ring_job.READ
    jobs[0, ring_job.ADDRESS], jobs[0, ring_job.N_BYTES] = table.ctypes.data, sum(lengths)
    jobs[0, ring_job.BUFFER] = len(lengths)
    content = np.random.default_rng(1).integers(0, 256, 3000, dtype=np.uint8)
    ring.begin()
    start = 0
    for length in pieces:
        os.write(pipe[1], content[start : start + length].tobytes())
        start += length
        drive(ring, jobs, 0.05)
    os.write(pipe[1], content[start:].tobytes())
    if start < 3000:
        assert drive(ring, jobs) == 0
    assert jobs[0, ring_job.MOVED] == 3000
    np.testing.assert_array_equal(np.concatenate(buffers), content)


def test_the_end_of_a_file_ends_a_job_short(ring, tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"x" * 1000)
    buffer = np.zeros(4096, np.uint8)
    with path.open("rb") as file:
        jobs = reading(file.fileno(), buffer)
        ring.begin()
        assert drive(ring, jobs) == 0
    assert jobs[0, ring_job.MOVED] == 1000
    assert jobs[0, ring_job.ENDED_NS] > 0


def test_errors_are_the_jobs_own(ring):
    buffer = np.zeros(16, np.uint8)
    jobs = np.concatenate([nops(3), reading(9999, buffer), nops(3)])
    ring.begin()
    assert drive(ring, jobs) == 0
    assert jobs[:, ring_job.MOVED].tolist() == [0, 0, 0, -errno.EBADF, 0, 0, 0]


def test_skipped_rows_are_over_and_untouched(ring):
    jobs = nops(5)
    jobs[[0, 3], ring_job.WORD] = ring_job.SKIP
    ring.begin()
    assert drive(ring, jobs) == 0
    assert (jobs[:, ring_job.ENDED_NS] > 0).tolist() == [False, True, True, False, True]


def test_not_now_is_asked_again_without_spinning(ring, pipe):
    os.set_blocking(pipe[0], False)
    buffer = np.zeros(4, np.uint8)
    jobs = reading(pipe[0], buffer)
    ring.begin()
    enters = int(ring.words[loops.ENTERS])
    assert drive(ring, jobs, 0.1) == -errno.ETIME
    # A hundred pauses of a millisecond fit; a loop without them enters many thousand times.
    assert ring.words[loops.ENTERS] - enters < 250
    os.write(pipe[1], b"now.")
    assert drive(ring, jobs) == 0
    assert bytes(buffer) == b"now."


def test_cancelling_ends_what_waits(ring, pipe):
    jobs = np.repeat(reading(pipe[0], np.zeros(4, np.uint8)), 5, axis=0)
    ring.begin()
    assert drive(ring, jobs, 0.02) == -errno.ETIME
    loops.cancel(ring.words, ring.slots, ring.free, jobs)
    assert jobs[:, ring_job.MOVED].tolist() == [-errno.ECANCELED] * 5
    assert ring.n_free == DEPTH
    assert loops.abandon(ring.slots) == 0


def test_what_the_kernel_has_not_taken_is_withdrawn(ring, pipe):
    buffer = np.zeros(4, np.uint8)
    ring.begin()
    drive(ring, reading(pipe[0], buffer), drain=False)
    ring.words[[loops.NEXT, loops.DONE]] = 0
    waiting = nops(3)
    loops._fill(ring.words, ring.slots, ring.free, waiting, 3, 8, 1)
    assert in_flight(ring) == 4
    loops.withdraw(ring.words, ring.slots, ring.free)
    assert in_flight(ring) == 1
    assert loops.enter(ring.words, 0, 0) == 0
    assert (waiting[:, ring_job.ENDED_NS] == 0).all()
    ring.begin()
    assert drive(ring, nops(20)) == 0


def test_a_broken_ring_says_so():
    ring = Ring(DEPTH)
    fd = int(ring.words[loops.FD])
    ring.words[loops.FD] = 9999
    ring.begin()
    assert drive(ring, nops(1)) == -errno.EBADF
    ring.words[loops.FD] = fd
    ring.close(0)


def test_time_is_the_monotonic_clocks(ring):
    before = time.monotonic_ns()
    now = loops.now_ns(ring.words)
    assert before <= now <= time.monotonic_ns()


def test_other_threads_run_while_it_waits(ring, pipe):
    ran = threading.Event()
    buffer = np.zeros(2, np.uint8)

    def answer() -> None:
        ran.set()
        os.write(pipe[1], b"ok")

    thread = threading.Timer(0.02, answer)
    thread.start()
    ring.begin()
    assert drive(ring, reading(pipe[0], buffer)) == 0
    assert ran.is_set()
    assert bytes(buffer) == b"ok"
    thread.join()


def test_a_window_bounds_what_is_under_way_and_some_may_be_over_before_all(ring, pipe):
    buffer = np.zeros(100, np.uint8)
    jobs = np.repeat(reading(pipe[0], buffer[:1]), 3 * DEPTH, axis=0)
    ring.begin(window=3)
    end_ns = time.monotonic_ns() + 10 * SECOND_NS
    assert drive(ring, jobs, 0.05, drain=False) == -errno.ETIME
    assert in_flight(ring) == 3
    os.write(pipe[1], bytes(5))
    assert ring.drive(jobs, len(jobs), 4, 1, end_ns) == 0
    assert 4 <= ring.words[loops.DONE] <= 5
    assert in_flight(ring) <= 3
    os.write(pipe[1], bytes(3 * DEPTH - 5))
    assert ring.drive(jobs, len(jobs), len(jobs), 1, end_ns) == 0
    assert ring.words[loops.DONE] == len(jobs)
    assert (jobs[:, ring_job.MOVED] == 1).all()
    # The next batch has the whole depth again.
    ring.begin()
    more = np.repeat(reading(pipe[0], buffer[:1]), 3 * DEPTH, axis=0)
    assert drive(ring, more, 0.05, drain=False) == -errno.ETIME
    assert in_flight(ring) == DEPTH
    os.write(pipe[1], bytes(3 * DEPTH))
    assert drive(ring, more) == 0


def test_whole_jobs_are_published_in_order_and_an_eventfd_says_so(ring, pipe):
    buffer, event = np.zeros(100, np.uint8), os.eventfd(0, os.EFD_NONBLOCK)
    jobs = np.concatenate([nops(3), reading(pipe[0], buffer[:4]), nops(3)])
    loops.start_counting(ring.words, event)
    ring.begin()
    assert drive(ring, jobs, 0.05) == -errno.ETIME
    assert loops.published(ring.words) == 3
    assert os.eventfd_read(event) >= 1
    with pytest.raises(BlockingIOError):
        os.eventfd_read(event)
    os.write(pipe[1], b"here")
    assert drive(ring, jobs) == 0
    assert loops.published(ring.words) == 7
    assert os.eventfd_read(event) >= 1
    loops.start_counting(ring.words, -1)
    assert loops.published(ring.words) == 0
    ring.begin()
    assert drive(ring, nops(3)) == 0
    assert loops.published(ring.words) == 0
    os.close(event)
