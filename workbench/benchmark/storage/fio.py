"""Ask fio, the storage trade's own tool, what the device can do: the ceiling of our engines.

Follows: fio 3.x JSON output, completion latencies. fio's own buffers lie in scattered pages, which
held a virtual disk to a sixth of its rate at 1 MiB; here they lie in huge pages, to be a ceiling.
The first moments of a run, in which those pages are touched first, are left out of its figures.
Leaves out: our own loops (storage_sweep.py), which stand in where fio is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.paths import shown
from workbench.tiering.async_io.engine import PAGE_BYTES, Op
from workbench.tiering.memory import HUGE_PAGE_BYTES, huge_pages_granted

ENABLE = "install fio (Debian: apt-get install fio; macOS: brew install fio)"

# What a run may take beyond its own time before it counts as hung: start-up is 0.2-0.4 s.
_GRACE_S = 10.0
# Run before anything counts: 64 MiB of huge pages take up to 50 ms to be touched first, which held
# a run of 50 ms to a seventh of its rate and one of 200 ms to a half.
_WARM_UP_MS = 100
# Added to a job in which nothing was moved: longer than a shared disk was seen to stall.
_STALL_MS = 2_000
# Deep queues in the order of preference; psync has no queue, so threads make the depth there.
_DEEP_ENGINES = ("io_uring", "libaio", "psync")
# A batched run moves this share of its depth a system call.
_BATCHES = 8


class FioError(WorkbenchError):
    """The fio program failed, hung, or answered something that is no measurement."""


@dataclass(frozen=True, slots=True)
class FioJob:
    """One direct run.

    Attributes
    ----------
    op : "read" or "write"   direction; of a mixed run, the one whose latencies are told
    block_kib : int          size of every request
    depth : int              requests in flight
    runtime_ms : int         duration that counts
    random : bool            blocks in random order instead of one after the other
    writes_percent : int     0..99, so many requests of a reading run write instead
    batched : bool           submit and reap several requests a system call, as our ring does; small
                             neighbours are then merged on their way to the device
    """

    op: Op
    block_kib: int
    depth: int
    runtime_ms: int
    random: bool = False
    writes_percent: int = 0
    batched: bool = False

    def __post_init__(self) -> None:
        if min(self.block_kib, self.depth, self.runtime_ms) < 1:
            raise FioError(f"{self}: block size, depth and run time must each be at least 1")
        if self.writes_percent and (self.op != "read" or not 0 < self.writes_percent < 100):
            raise FioError(f"{self}: writes_percent must be 0 to 99, and 0 unless op is read")

    @property
    def directions(self) -> tuple[Op, ...]:
        """Return the directions in which bytes move."""
        return ("read", "write") if self.writes_percent else (self.op,)


@dataclass(frozen=True, slots=True)
class FioResult:
    """What fio measured.

    ``engine`` is the I/O engine used; ``note`` says why it is not the preferred one, else "". Bytes
    and requests of a mixed run are those of both directions.
    """

    gb_s: float
    iops: float
    p50_us: float
    p99_us: float
    engine: str
    note: str


def available() -> bool:
    """Return whether fio is on PATH; `ENABLE` says how to get it."""
    return shutil.which("fio") is not None


def run(file: Path, job: FioJob, grace_s: float = _GRACE_S) -> FioResult:
    """Run one job on an existing, filled file; writes replace the file's content.

    Parameters
    ----------
    file : Path       a non-empty file; fio may not create or grow it
    job : FioJob      depth 1 uses psync; deeper ones io_uring, else libaio, else psync threads
    grace_s : float   seconds beyond the job's own before fio is killed

    Raises
    ------
    FioError   if fio is missing, hangs, fails with every engine, or answers no measurement

    Cost    ``job.runtime_ms``, 0.1 s to warm up, and 0.2-0.4 s.
    """
    if not available():
        raise FioError(f"fio is not on PATH; {ENABLE}")
    if not file.is_file() or file.stat().st_size < job.block_kib << 10:
        raise FioError(f"{shown(file)}: fio needs a file that holds at least one block")
    refusals: list[str] = []
    for engine in ("psync",) if job.depth == 1 else _DEEP_ENGINES:
        try:
            answer = _execute(_command(file, job, engine), file.parent, job, grace_s)
            if _is_empty(answer):
                # A stalled device: a job of 20 ms may end before its first answer.
                refusals.append(f"nothing was moved in {job.runtime_ms} ms")
                job = replace(job, runtime_ms=job.runtime_ms + _STALL_MS)
                answer = _execute(_command(file, job, engine), file.parent, job, grace_s)
        except _EngineRefusedError as error:
            refusals.append(f"{engine} refused: {error}")
            continue
        return _result(answer, job, engine, "; ".join(refusals))
    raise FioError(f"fio failed with every engine ({'; '.join(refusals)}); try `fio --version`")


class _EngineRefusedError(FioError):
    """One engine could not run the job; another one may."""


def _command(file: Path, job: FioJob, engine: str) -> list[str]:
    threads = job.depth if engine == "psync" else 1
    share_bytes = file.stat().st_size // threads // PAGE_BYTES * PAGE_BYTES
    options = {
        "name": "ceiling",
        # fio splits names at colons, so it runs in the file's own folder and gets the name alone.
        "filename": file.name.replace(":", "\\:"),
        "rw": _order(job),
        "rwmixwrite": job.writes_percent,
        "bs": _block_sizes(job),
        "iomem_align": HUGE_PAGE_BYTES,
        "ioengine": engine,
        "iodepth": job.depth // threads,
        "numjobs": threads,
        **_batching(job, job.depth // threads),
        "offset_increment": share_bytes if threads > 1 else 0,
        "direct": 1,
        # In milliseconds by name: fio reads a fraction of a second as 0, which means no limit.
        "runtime": f"{job.runtime_ms}ms",
        "ramp_time": f"{_WARM_UP_MS}ms",
        "percentile_list": "50:99",
        # Spares a table of the blocks that have been read.
        "norandommap": 1,
        "allow_file_create": 0,
        "fallocate": "none",
        "disk_util": 0,
        # Spares two calibrations of the CPU clock at start-up, 60 ms each.
        "clocksource": "clock_gettime",
        "output-format": "json",
        "eta": "never",
    }
    flags = ["--thread", "--time_based", "--group_reporting"]
    return ["fio", *flags, *(f"--{name}={value}" for name, value in options.items())]


def _order(job: FioJob) -> str:
    """Return fio's name of the order and direction."""
    direction = "rw" if job.writes_percent else job.op
    return f"rand{direction}" if job.random else direction


def _batching(job: FioJob, depth: int) -> dict[str, int]:
    if not job.batched or depth < _BATCHES:
        return {}
    return {
        "iodepth_batch_submit": depth // _BATCHES,
        "iodepth_batch_complete_min": depth // _BATCHES,
        "iodepth_batch_complete_max": depth,
    }


def _block_sizes(job: FioJob) -> str:
    """Return fio's sizes for read, write and trim.

    The directions not used get 2 MiB, because fio makes every buffer as large as the largest of
    them: so each begins, aligned, a huge page of its own.
    """
    unused = f"{max(job.block_kib, HUGE_PAGE_BYTES >> 10)}k"
    used = f"{job.block_kib}k"
    sides = ("read", "write", "trim")
    return ",".join((used if side in job.directions else unused) for side in sides)


def _environment() -> dict[str, str]:
    """Ask glibc to hand out huge pages; other libraries ignore the variable."""
    tunables = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if huge_pages_granted() else {}
    return {**os.environ, **tunables}


def _execute(command: list[str], folder: Path, job: FioJob, grace_s: float) -> Mapping[str, Any]:
    """Run fio in its own process group, never longer than allowed, and return its JSON answer."""
    limit_s = job.runtime_ms / 1000 + grace_s
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, complaints = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            raise FioError(
                f"fio did not end within {limit_s:g} s and was killed; try `fio --version`"
            ) from None
        except BaseException:
            # Ctrl-C included: fio has its own process group, so it would live on and write.
            _kill_group(process)
            raise
    if process.returncode != 0:
        raise _EngineRefusedError(_last_line(complaints) or f"exit code {process.returncode}")
    return _parse(output)


def _kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _parse(output: str) -> Mapping[str, Any]:
    # Warnings may stand before the answer.
    start = output.find("{")
    try:
        answer = json.loads(output[start:]) if start >= 0 else None
    except json.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise FioError(
            f"fio answered no JSON but {output[:80]!r}; "
            f"check that `fio` on PATH is the I/O tester: {ENABLE}"
        )
    return answer


def _is_empty(answer: Mapping[str, Any]) -> bool:
    """Return whether a job ended without a single completed request."""
    jobs = answer.get("jobs") or [{}]
    return all(jobs[0].get(op, {}).get("total_ios") == 0 for op in ("read", "write"))


def _result(answer: Mapping[str, Any], job: FioJob, engine: str, note: str) -> FioResult:
    try:
        sides = answer["jobs"][0]
        percentiles = sides[job.op]["clat_ns"]["percentile"]
        result = FioResult(
            gb_s=sum(sides[direction]["bw_bytes"] for direction in job.directions) / 1e9,
            iops=float(sum(sides[direction]["iops"] for direction in job.directions)),
            p50_us=percentiles["50.000000"] / 1e3,
            p99_us=percentiles["99.000000"] / 1e3,
            engine=engine,
            note=note,
        )
    except (KeyError, IndexError, TypeError) as error:
        raise FioError(
            f"fio's answer has no {job.op} figures ({error!r}); fio 3 is needed: {ENABLE}"
        ) from error
    if result.gb_s <= 0:
        raise FioError(f"fio moved nothing in {job.runtime_ms} ms; give it a longer run time")
    return result
