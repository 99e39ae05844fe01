"""The best engine there is, or the next one and the reason."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench.tiering.async_io.rings import refused
from workbench.tiering.async_io import ring
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.open_engine import KINDS, open_engine
from workbench.tiering.async_io.ring import RingRefusedError

ROOT = Path(__file__).parents[4]

needs_ring = pytest.mark.skipif(bool(refused()), reason=f"no io_uring: {refused()}")


@pytest.mark.parametrize("kind", ["threads", "synchronous"])
@pytest.mark.parametrize("direct", [True, False])
def test_each_kind_is_what_it_is_called(kind, direct):
    with open_engine(kind, depth=4, direct=direct) as engine:
        stats = engine.stats()
    assert stats.kind == ("buffered" if (kind, direct) == ("synchronous", False) else kind)
    assert stats.direct is direct
    assert stats.fallback_reason == ""


@needs_ring
def test_auto_is_the_ring_where_there_is_one():
    for kind in ("auto", "io_uring"):
        with open_engine(kind) as engine:
            assert engine.stats().kind == "io_uring"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_refused_ring_falls_back_once_and_says_why(monkeypatch, number):
    asked = []

    def refuse(call, *arguments):
        asked.append(call)
        return -number

    monkeypatch.setattr(ring.atomics, "system_call_twin", refuse)
    with open_engine("auto", depth=2) as engine:
        stats = engine.stats()
    assert stats.kind == "threads"
    assert os.strerror(number) in stats.fallback_reason
    assert len(asked) == 1
    with pytest.raises(RingRefusedError):
        open_engine("io_uring")


def test_an_unknown_kind_is_told_which_there_are():
    with pytest.raises(StorageError, match="no engine is called 'aio'; there are auto, io_uring"):
        open_engine("aio")  # type: ignore[arg-type]
    assert KINDS[0] == "auto"


# Refuse io_uring_setup as a container's filter does: BPF that answers ENOSYS to call 425.
FILTERED = """
import ctypes, struct, sys
from pathlib import Path
program = b"".join(struct.pack("<HBBI", *one) for one in [
    (0x20, 0, 0, 0),             # load the call's number
    (0x15, 0, 1, 425),           # io_uring_setup?
    (0x06, 0, 0, 0x00050000 | 38),  # answer ENOSYS
    (0x06, 0, 0, 0x7FFF0000),    # allow
])
code = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(code)))) == 0, ctypes.get_errno()

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import Request, check_all
from workbench.tiering.async_io.open_engine import open_engine
with open_engine() as engine:
    block = aligned_buffer(4096)
    check_all(engine.submit([Request("read", engine.open(Path(sys.argv[1])), 0, block)]))
    print(bytes(block[:5]).decode(), engine.stats().kind, engine.stats().fallback_reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_a_containers_filter_is_no_obstacle(disk_folder):
    (disk_folder / "blocks").write_bytes(b"hello" + bytes(PAGE_BYTES))
    done = subprocess.run(
        [sys.executable, "-c", FILTERED, str(disk_folder / "blocks")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hello threads io_uring was refused: Function not implemented")
