"""Look at what lies outside Python: governor, browser, fio, fonts, the model, the outputs' folder.

Leaves out: installing any of it; every finding names the command that does.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from workbench import datasets, paths
from workbench.benchmark.machine import UNKNOWN, identify
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.torch_peer import TorchPeer
from workbench.benchmark.storage import fio as fio_program
from workbench.profiling import counters, sampler
from workbench.runs.doctor.finding import Checks, Finding, fail, ok, warn

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "~/.fonts")
MODEL = "smollm2-135m"


def governor(found: str | None = None) -> Finding:
    """Check that the CPU does not change its speed under a measurement."""
    found = found or identify().governor
    if found == UNKNOWN:
        return ok("not shown (a virtual machine, or not Linux)")
    if found != "performance":
        return warn(found, "sudo cpupower frequency-set -g performance")
    return ok(found)


def browser() -> Finding:
    """Check for a Chromium, which the browser tests drive."""
    for name in BROWSERS:
        if shutil.which(name):
            return ok(name)
    return warn("not found: browser tests are skipped", _install("chromium"))


def fio() -> Finding:
    """Check for fio, which measures the storage ceiling."""
    if fio_program.available():
        return ok("found")
    found = "not found: storage is held against our own raw reads"
    return warn(found, _install("fio"))


def peers() -> Finding:
    """Check for the engines that benchmarks run beside ours; they are optional."""
    names = {peer.name: peer.available() for peer in (LlamaCppPeer, TorchPeer)}
    present = [name for name, is_there in names.items() if is_there]
    absent = [name for name, is_there in names.items() if not is_there]
    if LlamaCppPeer.available():
        rest = f"; not {', '.join(absent)}" if absent else ""
        return ok(f"{', '.join(present)}{rest}")
    # Nothing needs them but the rows that compare with them.
    found = f"{', '.join(absent)} not installed: benchmarks show our rates alone"
    return warn(found, LlamaCppPeer.enable)


def _install(package: str) -> str:
    return f"brew install {package}" if sys.platform == "darwin" else f"apt-get install {package}"


def profiler() -> Finding:
    """Check that py-spy may sample a process, as `workbench profile` does."""
    try:
        sampler.check()
    except sampler.SamplerError as error:
        found, _, fix = str(error).partition("\nfix: ")
        return warn(found, fix)
    return ok(f"{sampler.version()} may read processes")


def hardware_counters() -> Finding:
    """Check for counters of instructions and cycles, which a profile shows where there are any."""
    found, _, fix = counters.missing().partition("; fix: ")
    if fix:
        return warn(found, fix)
    return ok(found or "perf counts")


def fonts(folders: tuple[str, ...] = FONT_FOLDERS) -> Finding:
    """Check for fonts, without which a browser draws charts with empty boxes for text."""
    for folder in folders:
        if next(Path(folder).expanduser().rglob("*.[ot]t[fc]"), None) is not None:
            return ok("found")
    return warn("none found", _install("fonts-dejavu-core"))


def model() -> Finding:
    """Check for the model that the days measure."""
    state = datasets.state(datasets.find(MODEL))
    if state != "present":
        return warn(f"{MODEL} is {state}", f"workbench data get {MODEL}")
    return ok(MODEL)


def outputs() -> Finding:
    """Check that runs can be written."""
    folder = paths.runs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ok(f"{paths.shown(folder)} can be written")
    except OSError as error:
        found = f"{paths.shown(folder)}: {error.strerror}"
        return fail(found, "make it writable, or name another folder by WORKBENCH_RUNS")


CHECKS: Checks = {
    "CPU governor": governor,
    "chromium": browser,
    "fio": fio,
    "profiler": profiler,
    "counters": hardware_counters,
    "peers": peers,
    "fonts": fonts,
    "model": model,
    "outputs": outputs,
}
