"""Buffers that touch in memory become one view; all others stay apart."""

import numpy as np
import pytest

from workbench.tiering.async_io.buffers import address, aligned_buffer, split
from workbench.tiering.async_io.joined_memory import joined


def test_neighbours_become_one_view_of_the_same_memory():
    whole = aligned_buffer(5 * 4096)
    pages = split(whole, 4096)
    view = joined(pages[1:4])
    assert view is not None
    assert (view.nbytes, address(view)) == (3 * 4096, address(pages[1]))
    view[:] = bytes([7]) * view.nbytes
    assert [page[0] for page in pages] == [0, 7, 7, 7, 0]


def test_one_buffer_is_itself():
    page = aligned_buffer(8192)[4096:]
    view = joined([page])
    assert view is not None
    assert (view.nbytes, address(view)) == (4096, address(page))


def test_arrays_of_any_shape_are_rows_of_bytes():
    array = np.zeros((4, 512), dtype=np.float64)
    rows = [memoryview(row).cast("B") for row in array]
    assert (
        joined(rows[:2]) is None or joined(rows[:2]).nbytes == 8192
    )  # rows are views of their own
    flat = memoryview(array).cast("B")
    view = joined([flat[:4096], flat[4096:8192]])
    assert view is not None
    view[:8] = np.float64(1.5).tobytes()
    assert array[0, 0] == 1.5


def test_read_only_neighbours_stay_read_only():
    pages = split(memoryview(bytes(range(256)) * 32), 4096)
    view = joined(pages)
    assert view is not None
    assert view.readonly
    assert view == bytes(range(256)) * 32


@pytest.mark.parametrize(
    "pick",
    [
        lambda pages: [pages[1], pages[0]],
        lambda pages: [pages[0], pages[2]],
        lambda pages: [pages[0], aligned_buffer(4096)],
        lambda pages: [pages[0], pages[1].toreadonly()],
        lambda pages: [pages[0], pages[1][:0]],
        lambda pages: [pages[0], pages[0]],
    ],
)
def test_what_does_not_touch_or_differs_stays_apart(pick):
    assert joined(pick(split(aligned_buffer(3 * 4096), 4096))) is None
