"""Stacks: threads asleep left out, the notebook's process picked, machinery and glue cut away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench import paths
from workbench.profiling import stacks
from workbench.profiling.frames import Frame
from workbench.profiling.symbols import SymbolMap

ROOT = paths.root()
FRAMES = {
    "launch": ("<module>", "/v/site-packages/ipykernel_launcher.py"),
    "cell": ("<module>", "/scratch/ipykernel_2/55.py"),
    "measure": ("measure", f"{ROOT}/workbench/benchmark/paired.py"),
    "main": ("main", f"{ROOT}/workbench/cli/__init__.py"),
    "glue": ("Dispatcher_call", "_dispatcher.cpp"),
    "jit": ("0x1004", "?"),
    "numpy": ("sum", "/v/site-packages/numpy/core.py"),
    "again": ("<module>", "/v/site-packages/numpy/x.py"),
    "frozen": ("_find_and_load", "<frozen importlib._bootstrap>"),
    "poll": ("poll", "/lib/libc.so.6"),
    "libc": ("0x99", "/lib/libc.so.6"),
    "bootstrap": ("Thread._bootstrap", "/usr/lib/python3.11/threading.py"),
    "stream": ("_watch_pipe_fd", "/v/site-packages/ipykernel/iostream.py"),
    "read": ("read", "/lib/libc.so.6"),
}
NAMES = list(FRAMES)
CELL = Frame("cell 4", "the notebook", "cell")
MEASURE = Frame("measure", "workbench/benchmark/paired.py", "project")
KERNEL = Frame("kernels.copy.vector", "compiled by Numba", "kernel")


def read(tmp_path: Path, profiles: dict[str, list[str]], **options: Any) -> stacks.Samples:
    """Write samples, each a line of frame names, and read them back."""
    told = {
        "shared": {"frames": [{"name": name, "file": file} for name, file in FRAMES.values()]},
        "profiles": [
            {
                "name": name,
                "samples": [[NAMES.index(word) for word in line.split()] for line in lines],
                "weights": [0.5] * len(lines),
            }
            for name, lines in profiles.items()
        ],
    }
    (tmp_path / "samples.json").write_text(json.dumps(told))
    options = {"cells": {}, "symbols": {}, **options}
    return stacks.read(tmp_path / "samples.json", **options)


def test_of_a_notebook_only_the_process_with_cells_counts_from_its_cell_on(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            'Process 1 Thread 1 ""': ["main measure"],
            'Process 2 Thread 2 ""': ["launch cell measure glue jit", "launch cell measure jit"],
            'Process 2 Thread 3 ""': ["bootstrap measure"],
        },
        cells={55: "cell 4"},
        symbols={2: SymbolMap(["1000 8 kernels.copy.vector"])},
    )
    assert found.stacks == {(CELL, MEASURE, KERNEL): 1.0, (MEASURE,): 0.5}
    assert (found.n_samples, found.n_waiting, found.pids) == (3, 0, {2})


def test_a_notebook_that_never_ran_a_cell_shows_all_it_did(tmp_path: Path) -> None:
    found = read(tmp_path, {'Process 1 Thread 1 ""': ["launch"]}, cells={55: "cell 4"})
    (stack,) = found.stacks
    assert stack == (
        stacks.OUTSIDE,
        Frame("import ipykernel_launcher", "ipykernel_launcher", "package"),
    )


def test_threads_asleep_and_the_kernels_own_are_left_out(tmp_path: Path) -> None:
    lines = ["measure poll", "measure poll libc", "bootstrap stream read", "measure read"]
    found = read(tmp_path, {'Process 1 Thread 1 ""': lines})
    assert found.stacks == {(MEASURE, Frame("read", "libc", "native")): 0.5}
    assert (found.n_samples, found.n_waiting) == (4, 3)


def test_the_launcher_does_not_count(tmp_path: Path) -> None:
    lines = {'Process 1 Thread 1 ""': ["measure"], 'Process 2 Thread 1 ""': ["main measure"]}
    found = read(tmp_path, lines, leave_out=1)
    assert (found.n_samples, found.pids) == (1, {2})


def test_another_process_has_other_kernels_at_the_same_address(tmp_path: Path) -> None:
    maps = {1: SymbolMap(["1000 8 one"]), 2: SymbolMap(["1000 8 two"])}
    lines = {f'Process {pid} Thread 1 ""': ["measure jit"] for pid in (1, 2, 3)}
    found = read(tmp_path, lines, symbols=maps)
    assert {stack[-1].name for stack in found.stacks} == {"one", "two", "code without a name"}


def test_imports_are_one_frame_and_long_runs_of_c_show_their_ends(tmp_path: Path) -> None:
    lines = ["measure frozen again frozen again", "measure " + "glue " * 9 + "read read"]
    found = read(tmp_path, {'Process 1 Thread 1 ""': lines})
    names = sorted([frame.name for frame in stack] for stack in found.stacks)
    glue = ["Dispatcher_call"] * 2
    assert names == [["measure", *glue, "read", "read"], ["measure", "import numpy"]]


def test_c_without_python_goes_to_the_machinery_with_its_nameless_top_gone(tmp_path: Path) -> None:
    found = read(tmp_path, {'Process 1 Thread 1 ""': ["libc read", "libc"]})
    read_frame = Frame("read", "libc", "native")
    assert found.stacks == {(stacks.OUTSIDE, read_frame): 0.5, (stacks.OUTSIDE,): 0.5}
