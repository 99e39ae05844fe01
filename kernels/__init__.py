"""Hot loops: Numba and NumPy, nothing of ours above them, no I/O.

Each file holds one kernel family and ends in its `Kernel` record (see `record.py`), or one a
format, that the tests, the benchmarks, the notebooks and the report all read.
"""

from kernels import compile_time  # its listener has to be there before the first compilation

__all__ = ["compile_time"]
