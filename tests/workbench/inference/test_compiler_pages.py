"""Giving back the compiler's pages: which, and that it still compiles afterwards."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit

from workbench.inference.compiler_pages import (
    Mapping,
    release_compiler_pages,
    unchanged_mappings,
)

SMAPS = """\
1000-3000 r-xp 00000000 08:01 77   /somewhere/libllvmlite.so
Size:                  8 kB
Rss:                   4 kB
Anonymous:             0 kB
3000-4000 r--p 00002000 08:01 77   /somewhere/libllvmlite.so
Rss:                   4 kB
Anonymous:             4 kB
4000-5000 rw-p 00003000 08:01 77   /somewhere/libllvmlite.so
Rss:                   0 kB
Anonymous:             0 kB
5000-6000 r-xp 00000000 08:01 78   /somewhere/libc.so.6
Rss:                   4 kB
Anonymous:             0 kB
6000-7000 rw-p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             4 kB
7000-9000 r--p 00004000 08:01 77   /with a space/libllvmlite.so
Rss:                   8 kB
Anonymous:             0 kB
"""


def test_only_the_librarys_unwritten_pages_are_chosen():
    found = list(unchanged_mappings(SMAPS.splitlines(), "libllvmlite"))
    assert found == [Mapping(0x1000, 0x2000, 4096), Mapping(0x7000, 0x2000, 8192)]


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux gives back pages of a file and reads them again (madvise)",
)
@pytest.mark.skipif(config.DISABLE_JIT, reason="interpreted kernels never load the compiler")
def test_what_is_given_back_is_compiled_with_again():
    double = njit(lambda values: values * 2)
    double(np.ones(1, np.float32))
    before = _resident_kib()
    assert release_compiler_pages() > 1 << 20
    assert before - _resident_kib() > 1 << 10
    # A new signature: LLVM's code is needed again.
    np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])


def _resident_kib() -> int:
    with Path("/proc/self/smaps").open() as lines:
        sizes = [each.resident_bytes for each in unchanged_mappings(lines, "libllvmlite")]
    return sum(sizes) >> 10
