"""A ring is set up whole or refused with the reason."""

import errno
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba import config

from kernels import ring as loops
from tests.workbench.tiering.async_io.rings import refused
from workbench.tiering.async_io import ring
from workbench.tiering.async_io.ring import Ring, RingRefusedError

pytestmark = pytest.mark.skipif(bool(refused()), reason=f"no io_uring: {refused()}")


def answer_setup(monkeypatch, respond):
    """Let io_uring_setup answer something else; other system calls are real."""
    real = ring.atomics.system_call_twin

    def call(number, *arguments):
        if number == ring._SETUP:
            return respond(lambda: real(number, *arguments), *arguments)
        return real(number, *arguments)

    monkeypatch.setattr(ring.atomics, "system_call_twin", call)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSYS, "Function not implemented"),
        (errno.EPERM, "kernel.io_uring_disabled"),
        (errno.ENOMEM, "Cannot allocate memory"),
        (errno.EINVAL, "Invalid argument"),
    ],
)
def test_a_refusal_says_why(monkeypatch, number, said):
    answer_setup(monkeypatch, lambda real, *arguments: -number)
    with pytest.raises(RingRefusedError, match=said):
        Ring(4)


def test_an_old_kernel_gets_a_ring_without_new_flags(monkeypatch):
    flags = []

    def before_5_19(real, n_entries, params, *rest):
        import ctypes

        wanted = ctypes.c_uint32.from_address(params + 8).value
        flags.append(wanted)
        return -errno.EINVAL if wanted else real()

    answer_setup(monkeypatch, before_5_19)
    made = Ring(4)
    made.close(0)
    assert flags == [ring._COOP_TASKRUN, 0]


def test_missing_features_are_named_and_nothing_stays_open(monkeypatch):
    def without_ext_arg(real, n_entries, params, *rest):
        import ctypes

        fd = real()
        features = ctypes.c_uint32.from_address(params + 20)
        features.value &= ~ring._NEEDED["EXT_ARG"]
        return fd

    before = os.listdir("/dev/fd")
    answer_setup(monkeypatch, without_ext_arg)
    with pytest.raises(RingRefusedError, match=r"lacks EXT_ARG; Linux 5\.11"):
        Ring(4)
    assert os.listdir("/dev/fd") == before


def test_no_system_call_no_ring(monkeypatch):
    monkeypatch.setattr(ring.atomics, "refused", lambda: "not this processor")
    with pytest.raises(RingRefusedError, match="not this processor"):
        Ring(4)


def test_the_kernel_agrees_on_the_sizes():
    made = Ring(5)
    assert made.words[loops.SQ_MASK] + 1 >= 2 * 5
    assert made.words[loops.CQ_MASK] + 1 >= 4 * 5
    assert made.n_free == 5
    assert not os.get_inheritable(int(made.words[loops.FD]))
    made.close(0)


def mappings():
    return Path("/proc/self/maps").read_text().count("io_uring")


def test_closing_gives_descriptor_and_memory_back():
    before, mapped = len(os.listdir("/dev/fd")), mappings()
    for _ in range(3):
        made = Ring(4)
        assert len(os.listdir("/dev/fd")) == before + 1
        assert made.close(time.monotonic_ns()) == 0
    assert len(os.listdir("/dev/fd")) == before
    # Other tests' engines may be open, and are closed whenever they are collected.
    assert mappings() <= mapped


def test_a_ring_that_cannot_be_mapped_is_closed(monkeypatch):
    class Refusing:
        def mmap(self, *_):
            return None

    before = os.listdir("/dev/fd")
    monkeypatch.setattr(ring, "_libc", Refusing)
    with pytest.raises(RingRefusedError, match="could not be mapped"):
        Ring(4)
    assert os.listdir("/dev/fd") == before


LOADED = """
import sys
from pathlib import Path
from kernels import ring as loops
from kernels import ring_job
from workbench.tiering.async_io.io_uring import UringEngine
from workbench.tiering.async_io.engine import Request
UringEngine(depth=2).close()
used = [loops.drive, loops.enter, loops.reap, loops.cancel, loops.withdraw, loops.abandon]
used += [ring_job.next_misfit, ring_job.count_whole, ring_job.add_up]
before = {one.__name__: len(one.signatures) for one in used}
assert all(before.values()), before
with UringEngine(depth=2) as engine:
    file = engine.open(Path(sys.argv[1]))
    buffer = memoryview(bytearray(8))
    engine.submit([Request("read", 99, 0, buffer), Request("sync", file)])
    engine.submit([Request("read", file, 0, buffer)], deadline_s=1e-9)
    engine.stats()
assert before == {one.__name__: len(one.signatures) for one in used}
"""


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_an_open_engine_has_every_loop_loaded(disk_folder):
    """Else the first request would pay for it, out of its own deadline."""
    (disk_folder / "file").write_bytes(bytes(8))
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(disk_folder / "file")],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_kernels_structures_have_the_sizes_assumed():
    # io_uring_params: 10 words, then 40 bytes for each ring's offsets.
    assert struct.calcsize("<10I") + 2 * struct.calcsize("<8IQ") == ring._PARAMS_BYTES
