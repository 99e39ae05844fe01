"""Keys have 32 bytes, values lie together; everything else is told what does."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.arguments import checked_bytes, checked_key


def test_what_fits_is_taken_without_a_copy():
    values = np.arange(6, dtype=np.uint16)
    assert checked_key(bytearray(32)) == bytes(32)
    view = checked_bytes(values)
    values[0] = 7
    assert (view.nbytes, view[0]) == (12, 7)


@pytest.mark.parametrize("n_bytes", [0, 31, 33])
def test_a_key_of_another_length_is_refused(n_bytes):
    with pytest.raises(UsageError, match=f"a key of {n_bytes} bytes"):
        checked_key(bytes(n_bytes))


def test_bytes_that_lie_apart_are_refused():
    with pytest.raises(UsageError, match="contiguous"):
        checked_bytes(np.arange(8)[::2])
