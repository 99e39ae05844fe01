"""Reserved memory: parts come and go, and take no more than they are."""

import mmap
import sys
from pathlib import Path

import pytest

from workbench.tiering.memory import HUGE_PAGE_BYTES
from workbench.tiering.reserved_memory import ReservedMemory

PAGE = mmap.PAGESIZE


def resident_bytes(array):
    """Return what of the mappings that an array lies in is in memory."""
    first = array.ctypes.data
    last, total, inside = first + array.nbytes, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            start, stop = (int(one, 16) for one in words[0].split("-"))
            inside = start < last and stop > first
        elif inside and words[0] == "Rss:":
            total += int(words[1]) << 10
    return total


def test_parts_are_written_and_dropped_apart():
    memory = ReservedMemory(10 * PAGE + 5)
    assert memory.whole.ctypes.data % HUGE_PAGE_BYTES == 0
    for start in (0, 4 * PAGE, 8 * PAGE):
        memory.hold(start, start + PAGE)[:] = 7
    memory.drop(4 * PAGE, 8 * PAGE)
    assert (memory.whole[:PAGE] == 7).all()
    assert (memory.whole[8 * PAGE : 9 * PAGE] == 7).all()
    memory.hold(4 * PAGE, 5 * PAGE)[:] = 9
    assert (memory.whole[4 * PAGE : 5 * PAGE] == 9).all()
    memory.whole[-1] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
def test_nothing_is_taken_before_it_is_written_nor_after_it_is_dropped():
    size = 8 * HUGE_PAGE_BYTES
    memory = ReservedMemory(size)
    assert resident_bytes(memory.whole) <= HUGE_PAGE_BYTES
    held = memory.hold(HUGE_PAGE_BYTES, size - HUGE_PAGE_BYTES - PAGE)
    held[:] = 1
    # A mapping beside this one may be counted with it.
    assert held.nbytes <= resident_bytes(memory.whole) <= held.nbytes + HUGE_PAGE_BYTES
    memory.drop(HUGE_PAGE_BYTES + PAGE, size - HUGE_PAGE_BYTES - PAGE)
    assert resident_bytes(memory.whole) <= HUGE_PAGE_BYTES
    assert (memory.whole[HUGE_PAGE_BYTES:][:PAGE] == 1).all()
    assert not memory.whole[HUGE_PAGE_BYTES + PAGE :].any()


def test_nothing_may_be_reserved_held_and_dropped():
    memory = ReservedMemory(0)
    assert memory.hold(0, 0).shape == (0,)
    memory.drop(0, 0)
