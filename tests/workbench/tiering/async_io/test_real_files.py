"""What every engine on real files shares: opening, forgetting, proof of O_DIRECT, counting."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES, Request, StorageError, check_all
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine

N_BYTES = 4 * PAGE_BYTES
ENGINES = [SynchronousEngine, ThreadEngine]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's")


class Plain(RealFiles):
    """The least that makes an engine: it says why it is not a better one."""

    kind = "plain"

    def submit(self, batch, deadline_s=10.0, on_whole=None):
        self._refuse_fork()
        raise StorageError("it moves nothing")


@pytest.fixture
def path(disk_folder):
    file = disk_folder / "blocks"
    file.write_bytes(b"a" * N_BYTES)
    return file


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def engine(request):
    with request.param() as engine:
        yield engine


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def read(engine, file, n_bytes=N_BYTES):
    buffer = aligned_buffer(n_bytes)
    check_all(engine.submit([Request("read", file, 0, buffer)]))
    return bytes(buffer)


def test_an_engine_must_say_how_blocks_move():
    with pytest.raises(TypeError, match="submit"):
        RealFiles(direct=True)


def test_a_file_is_opened_and_read(engine, path):
    file = engine.open(path)
    assert read(engine, file) == b"a" * N_BYTES


def test_files_opened_twice_have_handles_and_descriptors_of_their_own(engine, path):
    one, other = engine.open(path), engine.open(path)
    assert one != other
    assert engine.fileno(one) != engine.fileno(other)
    engine.forget(one)
    assert read(engine, other) == b"a" * N_BYTES


def test_a_file_opened_for_reading_is_not_written(engine, path):
    file = engine.open(path, writable=False)
    buffer = aligned_buffer(PAGE_BYTES)
    (done,) = engine.submit([Request("write", file, 0, buffer)])
    assert isinstance(done.error, StorageError)
    assert path.read_bytes() == b"a" * N_BYTES


def test_a_forgotten_file_is_closed_and_its_handle_never_comes_back(engine, path):
    file = engine.open(path)
    fd = engine.fileno(file)
    assert is_open(fd)
    engine.forget(file)
    assert not is_open(fd)
    for ask in (engine.forget, engine.fileno, engine.is_direct, engine.direct_proof):
        with pytest.raises(StorageError, match=f"file {file} is not open"):
            ask(file)
    (done,) = engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
    assert isinstance(done.error, StorageError)
    assert file not in [engine.open(path) for _ in range(20)]


@pytest.mark.parametrize("what", ["missing", "folder", "link", "fifo"])
def test_what_is_no_regular_file_is_refused_by_name(engine, path, what):
    target = path.parent / what
    if what == "folder":
        target.mkdir()
    elif what == "link":
        target.symlink_to(path)
    elif what == "fifo":
        os.mkfifo(target)
    with pytest.raises(StorageError, match=f"{what}: cannot be opened"):
        engine.open(target)


def test_closing_closes_every_file_and_twice_is_harmless(engine, path):
    descriptors = [engine.fileno(engine.open(path)) for _ in range(5)]
    engine.close()
    engine.close()
    assert not any(map(is_open, descriptors))
    with pytest.raises(StorageError, match="closed"):
        engine.open(path)
    with pytest.raises(StorageError, match="closed"):
        engine.submit([Request("read", 1, 0, aligned_buffer(PAGE_BYTES))])


@pytest.mark.parametrize("kind", ENGINES)
def test_leaving_the_block_closes_it_also_after_an_error(path, kind):
    engine = kind()
    fd = engine.fileno(engine.open(path))
    with pytest.raises(StorageError, match="not open"), engine:
        engine.forget(999)
    assert not is_open(fd)


@linux_only
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("kind", ENGINES)
def test_odirect_really_on(path, kind, direct):
    # R6: asked of the kernel, not of ourselves.
    with kind(direct=direct) as engine:
        file = engine.open(path)
        fdinfo = Path(f"/proc/self/fdinfo/{engine.fileno(file)}").read_text()
        flags = next(line.split()[1] for line in fdinfo.splitlines() if line.startswith("flags"))
        assert bool(int(flags, 8) & os.O_DIRECT) is direct
        proof = engine.direct_proof(file)
        assert (proof.flag, proof.evidence) == (direct, f"fdinfo flags {flags}")
        assert engine.is_direct(file) is direct
        assert engine.stats().direct is direct


@linux_only
@pytest.mark.parametrize("kind", ENGINES)
def test_write_through_reaches_the_descriptor(path, kind):
    for wanted in (True, False):
        with kind(write_through=wanted) as engine:
            flags = fcntl.fcntl(engine.fileno(engine.open(path)), fcntl.F_GETFL)
            assert (flags & os.O_DSYNC == os.O_DSYNC) is wanted


@linux_only
def test_odirect_refused_falls_back_once_and_says_why(engine, path):
    # R5: a kernel file that no version opens with O_DIRECT.
    good = engine.open(path)
    files = [engine.open(Path("/proc/version"), writable=False) for _ in range(3)]
    stats = engine.stats()
    assert not any(engine.is_direct(file) for file in files)
    assert engine.is_direct(good)
    assert not stats.direct
    assert stats.fallback_reason.count("O_DIRECT was refused") == 1
    for file in files:
        engine.forget(file)
    assert engine.stats().direct


def test_both_reasons_are_told():
    with Plain(direct=True, reason="io_uring: not permitted") as engine:
        assert engine.stats().fallback_reason == "io_uring: not permitted"
        if sys.platform == "linux":
            engine.open(Path("/proc/version"), writable=False)
            told = engine.stats().fallback_reason
            assert told.startswith("io_uring: not permitted; ")
            assert told.endswith("version: O_DIRECT was refused when the file was opened")


def test_without_reasons_there_is_nothing_to_tell():
    with Plain(direct=False) as engine:
        stats = engine.stats()
    assert (stats.kind, stats.fallback_reason, stats.pinned_buffers) == ("plain", "", 0)
    assert (stats.submitted, stats.direct) == (0, False)


def test_requests_are_counted_once_by_what_became_of_them(engine, path):
    file = engine.open(path)
    buffers = [aligned_buffer(PAGE_BYTES) for _ in range(4)]
    buffers[0][:] = b"b" * PAGE_BYTES
    assert engine.submit([Request("write", file, 0, buffers[0])])[0].error is None
    done = engine.submit(
        [
            Request("read", file, 0, buffers[1]),
            Request("read", file, PAGE_BYTES, buffers[2]),
            Request("sync", file),
            Request("read", file, N_BYTES, buffers[3]),  # behind the end
        ]
    )
    assert [one.error is None for one in done] == [True, True, True, False]
    stats = engine.stats()
    assert (stats.submitted, stats.reads, stats.writes) == (5, 2, 1)
    assert (stats.syncs, stats.errors) == (1, 1)
    assert (stats.read_bytes, stats.written_bytes) == (2 * PAGE_BYTES, PAGE_BYTES)
    assert stats.pinned_buffers == 0
    assert path.read_bytes()[:PAGE_BYTES] == b"b" * PAGE_BYTES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_is_refused_and_told_to_open_its_own():
    with Plain(direct=False) as engine:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                engine.submit([])
            except StorageError as error:
                told = str(error)
                right = "before a fork" in told and "plain" in told and "open another" in told
                status = 0 if right else 2
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        with pytest.raises(StorageError, match="it moves nothing"):
            engine.submit([])
