"""Hot loops: Numba and NumPy, nothing of ours above them, no I/O.

Each file holds one kernel family and ends in its `Kernel` record (see `record.py`), or one a
format, that the tests, the benchmarks, the notebooks and the report all read.
"""

import os
from pathlib import Path

# Both have to be there before Numba's first compilation.
from kernels import compile_time, symbol_map

__all__ = ["compile_time", "symbol_map"]

if folder := os.environ.get(symbol_map.FOLDER_VARIABLE):
    symbol_map.start(Path(folder))
