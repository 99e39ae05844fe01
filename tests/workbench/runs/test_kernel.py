"""Kernels from outside: their sockets, their environment, their memory, their end."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workbench import paths
from workbench.runs import kernel
from workbench.runs.kernel import KernelWatch, kernel_environment, manager_class, socket_folder


def test_sockets_lie_in_a_private_short_folder_that_goes_away():
    with socket_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(str(folder / "k-5")) < 100
    assert not folder.exists()


def test_a_long_temporary_folder_is_avoided(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with socket_folder() as folder:
        assert len(str(folder)) < 60


def test_folders_of_killed_runners_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(kernel, "_LONGEST_FOLDER", 500)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {f"workbench-{gone.pid}-old": 2, f"workbench-{os.getpid()}-old": 2}
    names |= {"workbench-x-old": 2, f"workbench-{gone.pid}-new": 0}
    for name, days in names.items():
        (tmp_path / name).mkdir()
        then = time.time() - days * 86400
        os.utime(tmp_path / name, (then, then))
    with socket_folder():
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(names) - {f"workbench-{gone.pid}-old"}


def test_the_kernel_is_this_interpreter_over_ipc(tmp_path):
    manager = manager_class(tmp_path, KernelWatch())(kernel_name="python3")
    try:
        assert manager.transport == "ipc"
        assert manager.ip.startswith(str(tmp_path))
        assert manager.kernel_spec.argv[0] == sys.executable
        assert manager.connection_file == str(tmp_path / "k.json")
    finally:
        manager.context.destroy()


def test_the_environment_points_at_this_code_and_this_run(runs_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_DATA", "relative")
    environment = kernel_environment(tmp_path / "run", seed=7)
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(paths.root()), "/elsewhere"]
    assert environment["PYTHONHASHSEED"] == "7"
    assert environment["WORKBENCH_RUN_DIR"] == str(tmp_path / "run")
    assert environment["WORKBENCH_RUNS"] == str(runs_folder)
    assert environment["WORKBENCH_DATA"] == str(tmp_path / "relative")


def _start(code: str) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **pipes)


def test_the_watch_sees_the_peak_and_how_it_was_killed():
    watch = KernelWatch()
    with _start("x = b'x' * (150 * 2**20); print(flush=True); input()") as process:
        process.stdout.readline()
        watch.begin(process)
        while watch.peak_rss_bytes == 0:
            time.sleep(0.01)
        assert watch.exit_status() is None
        watch.kill()
        assert process.wait() == -signal.SIGKILL
    watch.end()
    assert watch.peak_rss_bytes > 150 * 2**20
    assert watch.exit_status() == -signal.SIGKILL
    watch.kill()  # once more is harmless


def test_killing_takes_along_what_the_kernel_started(tmp_path):
    marker = tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid))\n"
        "print(flush=True); input()"
    )
    watch = KernelWatch()
    with _start(code) as process:
        process.stdout.readline()
        watch.begin(process)
        watch.kill()
    watch.end()
    grandchild = int(marker.read_text())
    while _alive(grandchild):
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    if sys.platform != "linux":
        return subprocess.run(["kill", "-0", str(pid)], check=False).returncode == 0
    return status.exists() and "Z (zombie)" not in status.read_text()


def test_a_watch_without_a_kernel_has_nothing_to_say():
    watch = KernelWatch()
    watch.kill()
    assert (watch.exit_status(), watch.peak_rss_bytes) == (None, 0)
