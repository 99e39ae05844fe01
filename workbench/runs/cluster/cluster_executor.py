"""Make a sweep's runs on Dask workers; a lost worker's run is made again, every result is kept.

Follows: Dask's own retries (its setting ``distributed.scheduler.allowed-failures``, 3).
Leaves out: what a worker does (worker.py), and connecting (connecting.py).
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError

from distributed import Client, Future, KilledWorker
from distributed.comm import CommClosedError

from workbench.errors import WorkbenchError
from workbench.runs import record, registry
from workbench.runs.cluster import worker
from workbench.runs.cluster.parcel import publish
from workbench.runs.cluster.worker import Task, WorkerError, code_hash, run_task, topic
from workbench.runs.record import RunFile
from workbench.runs.request import Request, Run
from workbench.runs.stop import Stop

_LOOK_S = 0.2
_LOOK_FOR_WORKERS_S = 5.0
_LONELY_S = 60.0
_GONE = (CancelledError, CommClosedError, OSError, TimeoutError)


class ClusterExecutor:
    """The workers of one scheduler; `connecting` makes it."""

    def __init__(
        self, client: Client, address: str, machines: Mapping[str, frozenset[str]], alone: bool
    ) -> None:
        """Take a connected client, and the workers' machine identities by store."""
        self._client = client
        self._address = address
        self._machines = machines
        self._alone = alone

    def machine_ids(self, store: str) -> frozenset[str]:
        """Return the workers' machines."""
        return self._machines[store]

    def runs(self, requests: Sequence[Request], stop: Stop) -> Iterator[tuple[int, Run]]:
        """Give all runs to the scheduler, and each result as it comes."""
        if stop.soon.is_set():
            return
        batch = _Batch(self._client, self._alone)
        try:
            batch.submit(requests)
            for number, future in batch.ended(stop):
                run = batch.result(number, future, requests[number])
                if run is not None:
                    yield number, run
        except _GONE as error:
            raise WorkerError(
                f"the scheduler at {self._address} is gone ({type(error).__name__}); what ended "
                "before is kept, and --resume goes on with the rest once it is started again"
            ) from error
        finally:
            batch.abandon()


class _Batch:
    """The runs of one call: their futures, and the word to the workers to stop them."""

    def __init__(self, client: Client, alone: bool) -> None:
        self._client = client
        self._alone = alone
        self._token = secrets.token_hex(6)
        self._numbers: dict[Future, int] = {}
        self._done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._told = 0  # 0: nothing, 1: to stop soon, 2: now
        self._alone_since = self._looked = time.monotonic()

    def submit(self, requests: Sequence[Request]) -> None:
        code = code_hash()
        for number, request in enumerate(requests):
            task = Task(number, request, self._token, code, self._alone)
            key = f"workbench-{self._token}-{number}"
            future = self._client.submit(run_task, task, key=key, pure=False, priority=-number)
            self._numbers[future] = number
            future.add_done_callback(self._done.put)

    def ended(self, stop: Stop) -> Iterator[tuple[int, Future]]:
        """Give each future that is done, with its number; pass the user's wish to stop on."""
        while self._numbers:
            self._tell_workers(stop)
            try:
                future = self._done.get(timeout=_LOOK_S)
            except queue.Empty:
                if not self._has_workers():
                    return
                continue
            yield self._numbers.pop(future), future

    def _tell_workers(self, stop: Stop) -> None:
        wanted = stop.soon.is_set() + stop.now.is_set()
        if wanted > self._told:
            self._told = wanted
            self._client.run(worker.stop_runs, self._token, wanted == 2, on_error="ignore")

    def _has_workers(self) -> bool:
        """Tell whether to go on waiting; a sweep that is stopped waits for no new worker."""
        now = time.monotonic()
        if now - self._looked < _LOOK_FOR_WORKERS_S:
            return True
        self._looked = now
        if self._client.nthreads():
            self._alone_since = now
        elif self._told:
            return False
        elif now - self._alone_since > _LONELY_S:
            raise WorkerError(
                f"all workers are gone for {_LONELY_S:.0f} s; what ended before is kept, and "
                "--resume goes on with the rest once there are workers"
            )
        return True

    def result(self, number: int, future: Future, request: Request) -> Run | None:
        """Return the run, in this process's registry; None if it was stopped before it began."""
        attempts = self._attempts(number)
        try:
            parcel = future.result()
        except KilledWorker:
            return _lost(request, attempts)
        return None if parcel is None else publish(parcel, request.day.name, max(1, attempts))

    def _attempts(self, number: int) -> int:
        begun = self._client.get_events(topic(self._token)) or ()
        return sum(one == number for _, one in begun)

    def abandon(self) -> None:
        """Let go of what has not ended: nothing of it begins, and what runs is stopped."""
        left = list(self._numbers)
        if left and self._client.status == "running":
            try:
                self._client.cancel(left, force=True)
                self._client.run(worker.stop_runs, self._token, True, on_error="ignore")
            except (*_GONE, WorkbenchError):
                return  # then no scheduler hands them out any more


def _lost(request: Request, attempts: int) -> Run:
    """Leave a row for a run that took its worker with it each time; its machine is not known."""
    begun = record.new(
        request.day.name,
        request.params,
        "workbench",
        label=request.label,
        contended=request.contended,
        sweep=request.sweep,
    )
    unknown = {"machine": {}, "machine_id": "", "attempts": attempts}
    run_file = RunFile.create(begun.model_copy(update=unknown))
    ended = run_file.finish("killed", f"its worker was lost each of {attempts} times; see its log")
    return Run(ended, registry.run_folder(ended))
