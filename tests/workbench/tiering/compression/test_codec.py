"""Which rows are kept, and cutting arrays from memory."""

import numpy as np

from workbench.tiering.compression.codec import Cursor, Kept


def test_kept_rows():
    assert Kept(2, 4, 6).rows(8).tolist() == [True, True, False, False, True, True, False, False]
    assert not Kept().rows(3).any()


def test_a_cursor_cuts_views():
    memory = np.zeros(10, np.uint8)
    cursor = Cursor(memory)
    cursor.halves(2)[:] = 0x0201
    cursor.octets(2, 3)[:] = 7
    assert memory.tolist() == [1, 2, 1, 2] + [7] * 6
    assert cursor.at == 10
