"""Names of frames: by cell, kernel, module and package, and never a path of this machine."""

from __future__ import annotations

import sysconfig

import pytest

from workbench import paths
from workbench.profiling.frames import Frame, Naming, named
from workbench.profiling.symbols import SymbolMap

NAMING = Naming({123: "cell 4 (measure)"}, SymbolMap(["7f00 100 kernels.copy.nontemporal"]))
SITE = f"{sysconfig.get_paths()['purelib']}/numba/core/dispatcher.py"


@pytest.mark.parametrize(
    ("name", "file", "shown"),
    [
        ("<module>", "/scratch/x/ipykernel_9/123.py", ("cell 4 (measure)", "the notebook", "cell")),
        ("f", "/scratch/ipykernel_9/123.py", ("f in cell 4 (measure)", "the notebook", "cell")),
        ("<module>", "/scratch/ipykernel_9/7.py", ("a cell", "the notebook", "cell")),
        ("run", f"{paths.root()}/kernels/copy.py", ("run", "kernels/copy.py", "project")),
        (
            "<module>",
            f"{paths.root()}/kernels/copy.py",
            ("import kernels/copy.py", "kernels/copy.py", "project"),
        ),
        ("compile", SITE, ("compile", "numba", "package")),
        ("<module>", SITE, ("import numba", "numba", "package")),
        ("run", f"{sysconfig.get_paths()['stdlib']}/threading.py", ("run", "python", "package")),
        ("f", "/elsewhere/secret/script.py", ("f", "script.py", "package")),
        ("f", "<string>", ("f", "<string>", "package")),
        ("0x7f01", "?", ("kernels.copy.nontemporal", "compiled by Numba", "kernel")),
        ("0x8f01", "?", ("code without a name", "in no library", "native")),
        ("0x8f01", "/lib/libc.so.6", ("libc without a name", "libc", "native")),
        ("gemm", "/x/libopenblas-32a4b2a6.so.0.3", ("gemm", "libopenblas", "native")),
        (
            "call",
            "/x/_dispatcher.cpython-311-x86_64-linux-gnu.so",
            ("call", "_dispatcher", "native"),
        ),
    ],
)
def test_a_frame_is_named_as_a_reader_knows_it(
    name: str, file: str, shown: tuple[str, str, str]
) -> None:
    assert named({"name": name, "file": file, "line": 1}, NAMING) == shown


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("_find_and_load", "<frozen importlib._bootstrap>"),
        ('process 12:"/opt/me/.venv/bin/python -m workbench"', ""),
        ("<module>", "/v/site-packages/__editable___ssd_tiering_finder.py"),
    ],
)
def test_what_says_nothing_is_left_out(name: str, file: str) -> None:
    assert named({"name": name, "file": file}, NAMING) is None


def test_a_broken_frame_is_still_a_frame() -> None:
    assert named({}, NAMING) == Frame("?", "?", "native")
