"""Phases: what is nested is taken out, threads add up, and off nothing is counted."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import paths, phases
from workbench.phases import Phase

OUTER, INNER = Phase("outer"), Phase("inner")


@pytest.fixture
def running() -> Iterator[None]:
    """Switch the phases on for one test."""
    phases.start()
    yield
    phases.stop()
    phases.start()
    phases.stop()


def test_off_nothing_is_counted() -> None:
    with OUTER, INNER:
        pass
    assert phases.totals() == {}
    assert phases.usage().wall_s == 0


@pytest.mark.usefixtures("running")
def test_what_is_nested_is_not_the_outer_ones_own() -> None:
    with OUTER:
        time.sleep(0.02)
        for _ in range(2):
            with INNER:
                time.sleep(0.03)
    totals = phases.totals()
    outer, inner = totals["outer"], totals["inner"]
    assert list(totals) == ["inner", "outer"]  # the longest own time first
    assert (outer.calls, inner.calls) == (1, 2)
    assert inner.whole_ns == inner.own_ns >= 60_000_000
    assert outer.whole_ns >= outer.own_ns + inner.whole_ns >= 80_000_000
    assert 20_000_000 <= outer.own_ns < outer.whole_ns - inner.whole_ns + 1


@pytest.mark.usefixtures("running")
def test_a_phase_in_itself_is_its_own_once() -> None:
    with OUTER, OUTER:
        time.sleep(0.01)
    total = phases.totals()["outer"]
    assert total.calls == 2
    assert 10_000_000 <= total.own_ns < total.whole_ns


@pytest.mark.usefixtures("running")
def test_threads_add_up_and_do_not_mix() -> None:
    def work() -> None:
        for _ in range(200):
            with OUTER, INNER:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals = phases.totals()
    assert totals["outer"].calls == totals["inner"].calls == 1600
    assert totals["outer"].own_ns + totals["inner"].own_ns == totals["outer"].whole_ns


@pytest.mark.usefixtures("running")
def test_an_exception_passes_and_its_phase_has_ended() -> None:
    with pytest.raises(KeyError), OUTER:
        raise KeyError
    with INNER:
        pass
    assert phases.totals()["outer"].calls == phases.totals()["inner"].calls == 1


@pytest.mark.usefixtures("running")
def test_a_timed_function_keeps_its_face() -> None:
    @OUTER.timed
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert (add(2, b=3), add.__name__, add.__doc__) == (5, "add", "Add.")
    assert phases.totals()["outer"].calls == 1


def test_entered_before_and_left_after_the_switch_does_no_harm() -> None:
    with OUTER:
        phases.start()
    assert phases.totals() == {}
    with INNER:
        phases.stop()
    phases.start()
    with OUTER:
        pass
    assert set(phases.totals()) == {"outer"}
    phases.start()
    phases.stop()


@pytest.mark.usefixtures("running")
@pytest.mark.skipif(sys.platform != "linux", reason="a thread's own faults are Linux only")
def test_page_faults_belong_to_the_phase_that_touches() -> None:
    n_pages = 256
    with mmap.mmap(-1, n_pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE) as memory:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        with OUTER, INNER:
            for start in range(0, len(memory), mmap.PAGESIZE):
                memory[start] = 1
    totals = phases.totals()
    assert totals["inner"].minor_faults >= n_pages
    assert totals["outer"].minor_faults < n_pages
    assert phases.usage().minor_faults >= n_pages


def test_the_environment_switches_on_and_the_totals_are_written_at_the_end(tmp_path: Path) -> None:
    program = (
        "from workbench.tiering.memory import allocate\n"
        "import os, sys\n"
        "allocate(1 << 16); print(os.getpid()); sys.exit(3)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, phases.FOLDER_VARIABLE: str(tmp_path)},
        cwd=paths.root(),
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(phases.path(tmp_path, int(run.stdout)).read_bytes())
    assert run.returncode == 3
    assert told["phases"]["allocation"]["calls"] == 1
    assert told["process"]["wall_s"] > 0
    assert told["process"]["minor_faults"] >= 16
