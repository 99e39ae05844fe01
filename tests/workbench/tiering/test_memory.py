"""Memory: alignment, content, refusals, and huge pages where the system tells of them."""

import mmap
import re
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from workbench.errors import UsageError
from workbench.tiering import memory
from workbench.tiering.memory import (
    MIB,
    allocate,
    give_back,
    huge_pages_granted,
    require_memory,
    reserve,
)


@pytest.mark.parametrize("n_bytes", [1, 4095, 4097, 2 * MIB, 3 * MIB + 5])
def test_memory_is_zeroed_writable_and_aligned(n_bytes):
    array = allocate(n_bytes)
    assert array.shape == (n_bytes,)
    assert not array.any()
    align = 2 * MIB if n_bytes >= 2 * MIB else mmap.PAGESIZE
    assert array.ctypes.data % align == 0
    array[-1] = 7
    assert array[-1] == 7


def test_no_bytes_are_an_empty_array():
    assert allocate(0).shape == (0,)


def test_memory_outlives_its_owner_through_a_view():
    view = allocate(MIB).view(np.float32)[10:20]
    view[:] = 1.5
    assert view.sum() == 15


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
@pytest.mark.skipif(not huge_pages_granted(), reason="this system grants no huge pages")
def test_huge_pages_were_asked_for():
    array = allocate(8 * MIB)
    mappings = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    for mapping in filter(None, mappings):
        start, end = (int(part, 16) for part in mapping.split(maxsplit=1)[0].split("-"))
        if start <= array.ctypes.data < end:
            # "hg": madvise(MADV_HUGEPAGE) reached private memory, the only kind that heeds it.
            assert re.search(r"(?m)^VmFlags:.*\bhg\b", mapping)
            assert not re.search(r"(?m)^VmFlags:.*\bsh\b", mapping)
            return
    pytest.fail("the buffer's mapping is not listed")


def test_a_system_without_the_switch_grants_none(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_THP_SWITCH", tmp_path / "absent")
    assert not huge_pages_granted()
    assert allocate(2 * MIB).size == 2 * MIB


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="no huge pages on this system")
@pytest.mark.parametrize(
    ("switch", "granted"),
    [
        ("always [madvise] never", True),
        ("[always] madvise never", True),
        ("always madvise [never]", False),
    ],
)
def test_the_switch_is_read(monkeypatch, tmp_path, switch, granted):
    (tmp_path / "enabled").write_text(switch)
    monkeypatch.setattr(memory, "_THP_SWITCH", tmp_path / "enabled")
    assert huge_pages_granted() is granted


def test_too_much_is_refused_with_need_limit_and_fix():
    require_memory(1, "a byte", "ask for less")
    with pytest.raises(UsageError, match=r"a slab needs [\d,]+ MiB, .* MiB may be taken .* fewer"):
        require_memory(1 << 60, "a slab", "keep fewer tokens")


def resident_bytes():
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep the pages")
def test_reserved_memory_is_taken_at_its_first_use_and_can_be_given_back():
    size = 64 * MIB
    before = resident_bytes()
    memory = reserve(size)
    assert resident_bytes() - before < size // 2
    memory[:] = 1
    assert resident_bytes() - before > size // 2
    give_back(memory[size // 8 :])
    assert resident_bytes() - before < size // 2
    assert (memory[: size // 8] == 1).all()
    assert not memory[size // 8 :].any()


def test_parts_of_pages_stay():
    memory = reserve(4 * mmap.PAGESIZE)
    memory[:] = 1
    give_back(memory[10 : 2 * mmap.PAGESIZE - 10])
    assert (memory == 1).all()
    give_back(np.ones(10, np.uint8))
    give_back(reserve(0))
