"""fio.py: real runs give figures; a missing, broken or hanging fio gives a clear error in time."""

import json
import os
import shutil
import stat
import time

import pytest

from workbench.benchmark.storage import fio
from workbench.benchmark.storage.fio import FioError, FioJob

BLOCK_KIB = 16


@pytest.fixture
def file(disk_folder):
    path = disk_folder / "filled: with a colon.bin"
    path.write_bytes(os.urandom(4 << 20))
    return path


@pytest.fixture
def impostor(tmp_path, monkeypatch):
    """Put a script of ours before everything else on PATH, under the name fio."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "fio"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


@pytest.mark.fio
@pytest.mark.parametrize("op", ["read", "write"])
@pytest.mark.parametrize("depth", [1, 8])
def test_a_run_gives_consistent_figures(file, op, depth):
    result = fio.run(file, FioJob(op, BLOCK_KIB, depth, 60))
    assert result.gb_s > 0
    # The same count over the same time, but fio averages a run this short in two ways.
    assert result.gb_s * 1e9 == pytest.approx(result.iops * BLOCK_KIB * 1024, rel=0.5)
    assert 0 < result.p50_us <= result.p99_us
    assert result.engine == "psync" if depth == 1 else result.engine in fio._DEEP_ENGINES


@pytest.mark.parametrize(
    ("op", "block_kib", "sizes"),
    [
        ("read", 4, "4k,2048k,2048k"),
        ("write", 256, "2048k,256k,2048k"),
        ("read", 4096, "4096k,4096k,4096k"),
    ],
)
def test_every_buffer_of_fio_may_begin_a_huge_page(op, block_kib, sizes):
    assert fio._block_sizes(FioJob(op, block_kib, 1, 10)) == sizes


@pytest.mark.fio
@pytest.mark.parametrize("job", [{"random": True}, {"writes_percent": 25}, {"batched": True}])
def test_random_mixed_and_batched_runs_give_consistent_figures(file, job):
    result = fio.run(file, FioJob("read", BLOCK_KIB, 8, 60, **job))
    assert result.note == ""
    assert result.gb_s * 1e9 == pytest.approx(result.iops * BLOCK_KIB * 1024, rel=0.5)


def test_each_kind_of_run_is_asked_of_fio_by_its_name(file):
    def options(**job) -> list[str]:
        return fio._command(file, FioJob("read", BLOCK_KIB, 32, 60, **job), "io_uring")

    assert "--rw=read" in options()
    assert "--rw=randread" in options(random=True)
    mixed = options(random=True, writes_percent=25)
    assert {"--rw=randrw", "--rwmixwrite=25", "--bs=16k,16k,2048k"} <= set(mixed)
    assert "--iodepth_batch_submit=4" in options(batched=True)
    assert not any("batch" in option for option in options())


@pytest.mark.fio
def test_a_mixed_run_moves_bytes_in_both_directions(file):
    before = file.read_bytes()
    fio.run(file, FioJob("read", BLOCK_KIB, 8, 60, writes_percent=50))
    assert file.read_bytes() != before


@pytest.mark.fio
def test_a_run_leaves_nothing_behind_and_keeps_the_size(file):
    before = file.read_bytes()
    fio.run(file, FioJob("read", BLOCK_KIB, 1, 30))
    assert file.read_bytes() == before
    fio.run(file, FioJob("write", BLOCK_KIB, 1, 30))
    assert file.stat().st_size == len(before)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.fio
def test_a_run_that_moved_nothing_is_made_once_more_and_says_so(file, impostor, tmp_path):
    nothing = '{"jobs": [{"read": {"total_ios": 0}, "write": {"total_ios": 0}}]}'
    seen, real = tmp_path / "seen", shutil.which("fio")
    impostor(f"""[ -e "{seen}" ] || {{ touch "{seen}"; echo '{nothing}'; exit 0; }}
exec "{real}" "$@" """)
    result = fio.run(file, FioJob("read", BLOCK_KIB, 1, 30))
    assert result.gb_s > 0
    assert result.note == "nothing was moved in 30 ms"


@pytest.mark.fio
def test_a_refused_ring_falls_back_and_says_why(file, impostor):
    real = shutil.which("fio")
    refuse = 'case "$*" in *io_uring*) echo "io_uring: not permitted" >&2; exit 1;; esac'
    impostor(f'{refuse}\nexec "{real}" "$@"')
    result = fio.run(file, FioJob("read", BLOCK_KIB, 8, 30))
    assert result.engine in {"libaio", "psync"}
    assert result.note.startswith("io_uring refused: io_uring: not permitted")


@pytest.mark.fio
def test_threads_make_the_depth_where_there_is_no_queue(file, impostor):
    real = shutil.which("fio")
    refuse = 'case "$*" in *io_uring*|*libaio*) exit 3;; esac'
    impostor(f'{refuse}\nexec "{real}" "$@"')
    result = fio.run(file, FioJob("read", BLOCK_KIB, 4, 30))
    assert result.engine == "psync"
    assert result.note == "io_uring refused: exit code 3; libaio refused: exit code 3"


def test_a_fio_that_always_fails_is_an_error(file, impostor):
    impostor("echo 'no luck' >&2; exit 1")
    with pytest.raises(FioError, match=r"every engine.*psync refused: no luck"):
        fio.run(file, FioJob("read", BLOCK_KIB, 1, 10))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("hello", "answered no JSON but 'hello"),
        ("{ broken", "answered no JSON"),
        ("{}", "no read figures"),
        (json.dumps({"jobs": [{"read": {"bw_bytes": 1}}]}), "no read figures"),
        (
            json.dumps(
                {
                    "jobs": [
                        {
                            "read": {
                                "bw_bytes": 0,
                                "iops": 0,
                                "clat_ns": {"percentile": {"50.000000": 0, "99.000000": 0}},
                            }
                        }
                    ]
                }
            ),
            "moved nothing in 10 ms",
        ),
    ],
)
def test_an_answer_that_is_no_measurement_is_an_error(file, impostor, answer, reason):
    impostor(f"echo '{answer}'")
    with pytest.raises(FioError, match=reason):
        fio.run(file, FioJob("read", BLOCK_KIB, 1, 10))


def test_a_warning_before_the_answer_is_passed_over():
    assert fio._parse('fio: a warning\n{"jobs": []}') == {"jobs": []}


def test_a_hanging_fio_is_killed_with_its_children(file, impostor, tmp_path):
    # The child would hold our pipe open, and the test up, for as long as it lives.
    impostor(f"sleep 300 & echo $! > '{tmp_path}/child'; wait")
    with pytest.raises(FioError, match=r"did not end within 0\.51 s and was killed"):
        fio.run(file, FioJob("read", BLOCK_KIB, 1, 10), grace_s=0.5)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if _is_gone(child):
            break
        time.sleep(0.05)
    assert _is_gone(child)


def _is_gone(pid: int) -> bool:
    import psutil

    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_missing_fio_says_how_to_get_it(file, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not fio.available()
    with pytest.raises(FioError, match="not on PATH; install fio"):
        fio.run(file, FioJob("read", BLOCK_KIB, 1, 10))


@pytest.mark.parametrize("n_bytes", [None, 0, (BLOCK_KIB << 10) - 1])
def test_fio_is_never_let_near_a_file_it_would_have_to_make(tmp_path, impostor, n_bytes):
    impostor(f"touch '{tmp_path}/called'")
    path = tmp_path / "file"
    if n_bytes is not None:
        path.write_bytes(bytes(n_bytes))
    with pytest.raises(FioError, match="at least one block"):
        fio.run(path, FioJob("write", BLOCK_KIB, 1, 10))
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("job", [(0, 1, 10), (4, 0, 10), (4, 1, 0)])
def test_an_impossible_job_is_refused(job):
    with pytest.raises(FioError, match="at least 1"):
        FioJob("read", *job)


@pytest.mark.parametrize(("op", "percent"), [("read", 100), ("read", -1), ("write", 25)])
def test_a_mix_of_nothing_is_refused(op, percent):
    with pytest.raises(FioError, match="writes_percent must be 0 to 99"):
        FioJob(op, 4, 1, 10, writes_percent=percent)
