"""The sampler: a hot kernel appears by its name; what keeps py-spy from working is said at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from numba import config
from typer.testing import CliRunner

from kernels import symbol_map
from workbench import paths
from workbench.cli import app
from workbench.profiling import sampler, stacks, symbols
from workbench.profiling.frames import Frame
from workbench.profiling.sampler import Sampling

# By CPU time, so that a busy machine takes longer and not fewer samples.
HOT = """
import threading, time
import numpy as np
from kernels import copy

def work():
    to, start = np.zeros(1 << 22, np.uint8), np.ones(1 << 22, np.uint8)
    copy.nontemporal(to, start)
    end = time.thread_time() + 1.5
    while time.thread_time() < end:
        for _ in range(20):
            copy.nontemporal(to, start)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def samples_of(program: str, folder: Path, **variables: str) -> stacks.Samples:
    """Sample a program and read what was seen."""
    script = folder / "hot.py"
    script.write_text(program)
    sampler.record(
        [sys.executable, str(script)],
        {**os.environ, "PYTHONPATH": str(paths.root()), **variables},
        Sampling(100, sampler.sees_native()),
        folder / "samples.json",
        2,
    )
    return stacks.read(folder / "samples.json", {}, symbols.read_all(folder))


@pytest.mark.usefixtures("may_sample")
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="no kernel is compiled")
def test_a_hot_kernel_appears_by_its_name(tmp_path: Path) -> None:
    if not sampler.sees_native():
        pytest.skip("this py-spy sees Python only (macOS)")
    found = samples_of(HOT, tmp_path, **{symbol_map.FOLDER_VARIABLE: str(tmp_path)})
    kernel = Frame("kernels.copy.nontemporal_at", "compiled by Numba", "kernel")
    assert share_of_work(found, kernel) > 0.5
    # Without the map the very same code has no name.
    for path in tmp_path.glob("perf-*.map"):
        path.unlink()
    nameless = stacks.read(tmp_path / "samples.json", {}, {})
    assert share_of_work(nameless, kernel) == 0
    assert share_of_work(nameless, Frame("code without a name", "in no library", "native")) > 0.5


def share_of_work(found: stacks.Samples, frame: Frame) -> float:
    """Return how much of the loop's time is the frame's own; loading the kernel does not count."""
    own = total = 0.0
    for stack, seconds in found.stacks.items():
        names = {one.name for one in stack}
        if "work" in names and "_DispatcherBase._compile_for_args" not in names:
            total += seconds
            own += seconds * (stack[-1] == frame)
    return own / total


@pytest.mark.usefixtures("may_sample")
def test_the_probe_passes_and_the_version_is_the_pinned_one() -> None:
    sampler.check()
    pins = (paths.root() / "pyproject.toml").read_text()
    assert sampler.version().replace(" ", "==") in pins


def test_a_missing_py_spy_names_its_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sampler.SamplerError, match="not installed\nfix: make setup"):
        sampler.program()


def test_a_refusal_carries_py_spys_reason_and_the_systems_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spy = tmp_path / "py-spy"
    spy.write_text("#!/bin/sh\necho noise >&2; echo 'Error: Permission denied (os error 13)' >&2\n")
    spy.chmod(0o755)
    monkeypatch.setattr(sampler, "program", lambda: str(spy))
    with pytest.raises(sampler.SamplerError, match=r"Permission denied \(os error 13\)\nfix: "):
        sampler.check()
    with pytest.raises(sampler.SamplerError, match="took no samples: Permission denied"):
        sampler.record(["true"], os.environ, Sampling(10, False), tmp_path / "none", 2)
    assert "SYS_PTRACE" in str(sampler.refused("Error: no", "linux"))
    assert "sudo" in str(sampler.refused("Error: no", "darwin"))
    assert "it gave no reason" in str(sampler.refused(""))


def test_macos_is_told_what_it_has_instead() -> None:
    said = sampler.on_macos(["generate", "--prompt", "a b"])
    assert said.startswith("xctrace record --template 'Time Profiler' --launch -- ")
    assert said.endswith("-m workbench generate --prompt 'a b'")
    assert "xctrace" in CliRunner().invoke(app, ["profile", "--help"]).stdout
