"""Start the threads that compute together, keep them ready while there is work, and let them rest.

Follows: a worker sleeps on a Python event between pieces of work and spins inside compiled code
within one: waking takes some 50 us, a step between two layers must not.
Leaves out: the steps (kernels/llama_team.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from kernels.llama_team import PACK, STOP, take_part
from workbench.tiering.closing import Closing


class ThreadTeam(Closing):
    """The workers of one plan. One thread at a time may be at `work`."""

    def __init__(self, plan: np.recarray, layers: np.recarray, jobs: NDArray[np.int64]) -> None:
        """Start ``plan.n_threads - 1`` workers; the thread that gives orders is the last one."""
        self._plan, self._layers, self._jobs = plan, layers, jobs
        self._awake = 0
        self._closing = False
        self._wake = [threading.Event() for _ in range(1, int(plan[0].n_threads))]
        self._threads = [
            threading.Thread(
                target=self._serve, args=(number,), daemon=True, name=f"matvec-{number}"
            )
            for number in range(1, int(plan[0].n_threads))
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self, number: int) -> None:
        wake = self._wake[number - 1]
        while True:
            wake.wait()
            wake.clear()
            if self._closing:
                return
            take_part(self._plan, self._layers, self._jobs, number, STOP, 0)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep the workers awake and waiting for orders; may be nested, the outermost counts."""
        if self._awake == 0:
            for wake in self._wake:
                wake.set()
        self._awake += 1
        try:
            yield
        finally:
            self._awake -= 1
            if self._awake == 0 and self._threads:
                self.order(STOP, 0)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Let the workers sleep for a while within `working`; costs some 50 us."""
        if self._threads:
            self.order(STOP, 0)
        try:
            yield
        finally:
            for wake in self._wake:
                wake.set()

    def pack(self, n_jobs: int) -> None:
        """Let the team pack the first so many of its jobs' matrices. Only within `working`."""
        self._plan[0].n_packs = n_jobs
        self.order(PACK, 0)

    def order(self, step: int, layer: int) -> None:
        """Let the team take a step; return when all have taken it. Only within `working`."""
        take_part(self._plan, self._layers, self._jobs, 0, step, layer)

    def close(self) -> None:
        """End the workers; twice is harmless."""
        if not self._closing:
            self._closing = True
            for wake in self._wake:
                wake.set()
            for thread in self._threads:
                thread.join()
