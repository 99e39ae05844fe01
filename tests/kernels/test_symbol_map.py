"""The map of compiled code: names made plain, a kernel found at its own address."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

from kernels import symbol_map
from workbench import paths

PROGRAM = """
import numpy as np
from kernels import copy
copy.nontemporal(np.zeros(8, np.uint8), np.zeros(8, np.uint8))
(made,) = copy.nontemporal.overloads.values()
print(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
"""


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_ZN7kernels4copy11nontemporalB2v1B38c8tJTC_2fE5ArrayE", "kernels.copy.nontemporal"),
        ("_ZN7cpython7kernels4copy11nontemporalB2v1E", "kernels.copy.nontemporal (wrapper)"),
        ("cfunc._ZN7kernels4copy6vectorB2v1E", "kernels.copy.vector (wrapper)"),
        ("_ZN8__main__17f_3clocals_3e_decE", "__main__.f<locals>_dec"),
        ("_Z5plaini", "plain"),
        ("NRT_decref", "NRT_decref"),
        ("cfunc.other", "cfunc.other (wrapper)"),
        ("_Z", "_Z"),
    ],
)
def test_a_symbol_is_named_as_in_the_source(symbol: str, name: str) -> None:
    assert symbol_map.plain_name(symbol) == name


@pytest.mark.parametrize("elf", [b"", b"\xcf\xfa\xed\xfe" + bytes(60), b"\x7fELF\x01\x01"])
def test_another_object_format_holds_no_functions(elf: bytes) -> None:
    assert list(symbol_map.functions(elf)) == []


@pytest.mark.skipif(
    bool(config.DISABLE_JIT) or sys.platform != "linux", reason="nothing is compiled to ELF"
)
def test_a_kernel_lies_where_its_process_says(tmp_path: Path) -> None:
    variables = {**os.environ, symbol_map.FOLDER_VARIABLE: str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(
        command, env=variables, cwd=paths.root(), capture_output=True, text=True, check=True
    )
    (written,) = tmp_path.glob("perf-*.map")
    rows = [line.split(" ", 2) for line in written.read_text().splitlines()]
    (place,) = [row for row in rows if row[2] == "kernels.copy.nontemporal"]
    assert int(place[0], 16) == int(run.stdout)
    assert 100 < int(place[1], 16) < 10_000
