"""Connect to a Dask scheduler, or start workers on this machine, and check them before any run.

Follows: what a sweep cannot survive is told before it begins, with the fix.
Leaves out: starting workers elsewhere (`dask worker ADDRESS` on each machine does).
"""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from distributed import Client, LocalCluster, Worker, WorkerPlugin
from distributed.versions import VersionMismatchWarning

from workbench.errors import UsageError
from workbench.runs.cluster import worker
from workbench.runs.cluster.cluster_executor import ClusterExecutor
from workbench.runs.cluster.worker import Facts, WorkerError

_CONNECT_S = 10
_WORKERS_S = 30


@contextmanager
def to_scheduler(address: str, stores: Sequence[str], *, alone: bool) -> Iterator[ClusterExecutor]:
    """Give the executor of a running scheduler's workers.

    Parameters
    ----------
    address : str       ``tcp://host:8786``, or ``tls://`` with the certificates of Dask's settings
    stores : sequence   every ``store`` that the runs will measure
    alone : bool        one run at a time on a machine, however many workers it has

    Raises
    ------
    UsageError    if the address is none
    WorkerError   if it cannot be reached, has no worker, or one of other versions or other code
    """
    with _quiet(), _client(address) as client:
        found = _checked(client, address, stores)
        yield ClusterExecutor(client, address, _machine_ids(stores, found), alone)


@contextmanager
def to_own_workers(n_workers: int, stores: Sequence[str]) -> Iterator[ClusterExecutor]:
    """Give the executor of so many worker processes on this machine, which end with it.

    They listen on loopback, with a certificate made for this sweep: whoever may connect to a
    scheduler may run code as its user, and a machine may have other users.

    Cost    2 s to start and stop, 1 s more a worker, 150 MB of memory a worker.
    """
    with (
        _quiet(),
        tempfile.TemporaryDirectory(prefix="workbench-cluster-") as folder,
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=0,  # a run's memory is its kernel's, which Dask does not see
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # cannot be left out; None would take a fixed port
            security=True,
            silence_logs=logging.CRITICAL,
            local_directory=folder,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_IgnoreInterrupts())
        found = _checked(client, cluster.scheduler_address, stores)
        yield ClusterExecutor(
            client, cluster.scheduler_address, _machine_ids(stores, found), alone=False
        )


class _IgnoreInterrupts(WorkerPlugin):  # type: ignore[misc]
    """Leaves Ctrl-C, which every process of a terminal hears, to the one that sweeps."""

    name = "workbench-ignore-interrupts"

    def setup(self, worker: Worker) -> None:
        """Hear Ctrl-C and do nothing; a kernel started later does not inherit this."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, lambda number, frame: None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal: what its user must know, our errors say."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        log.setLevel(before)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise UsageError(
            f"--scheduler {address} is no address ({error}); give one such as tcp://host:8786"
        ) from None
    except (OSError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WorkerError(
            f"no scheduler answers at {address} within {_CONNECT_S} s ({reason}); "
            "start one with `dask scheduler`, or give the address that it printed"
        ) from None
    with client:
        yield client


def _checked(client: Client, address: str, stores: Sequence[str]) -> list[Facts]:
    """Return what each worker is, if all can make this sweep's runs."""
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError:
        raise WorkerError(
            f"the scheduler at {address} has no worker after {_WORKERS_S} s; start one on each "
            f"machine, in this project's environment: dask worker {address} --nthreads 1"
        ) from None
    try:
        client.get_versions(check=True)
        answers = client.run(worker.facts, list(stores))
    except Exception as error:
        # A version that differs, or a worker without this project: what it raises is up to it.
        raise WorkerError(
            f"the workers of {address} cannot make these runs: {error}; give scheduler and "
            "workers this commit of the project and its environment (make setup)"
        ) from error
    ours = worker.facts(stores)
    problems = [
        line for place, theirs in answers.items() for line in _differences(place, ours, theirs)
    ]
    if problems:
        fix = "bring every worker to this commit, run `make setup` there, and start it again"
        raise WorkerError("\n".join([*problems, fix]))
    return list(answers.values())


def _differences(place: str, ours: Facts, theirs: Facts) -> list[str]:
    known = dict(ours.versions)
    lines = [
        f"worker {place} has {name} {version}, here it is {known[name]}"
        for name, version in theirs.versions
        if version != known[name]
    ]
    if theirs.code != ours.code:
        lines.append(f"worker {place} has other code ({theirs.code}) than here ({ours.code})")
    return lines


def _machine_ids(stores: Sequence[str], found: Sequence[Facts]) -> dict[str, frozenset[str]]:
    return {
        store: frozenset(facts.machine_ids[place] for facts in found)
        for place, store in enumerate(stores)
    }
