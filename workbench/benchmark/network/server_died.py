"""The day the server died: answer requests while a network tier's server is killed and frozen.

Follows: the real model; every request is asked on a machine that has never seen its prefix, so that
it comes over the network or is computed. What each waited for the network is timed apart from its
first logits, whose computing alone scatters by more. Answers are held against those of a run
without the tier.
Leaves out: other faults (tests/workbench/tiering/distributed_tier), and many rounds
(network_outage.py).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network.fresh_machine import Answer, ask, fresh_machine, scratch_bytes
from workbench.benchmark.network.network_outage import FIRST, said_once
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import scratch_folder
from workbench.benchmark.selection import real_text
from workbench.inference.llama import LlamaModel
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig

HEALTHY, KILLED, RESTARTED, FROZEN, THAWED = (
    "healthy",
    "killed",
    "restarted, empty",
    "frozen",
    "thawed",
)
PHASES = (HEALTHY, KILLED, RESTARTED, FROZEN, THAWED)
TTFT, WAIT, WITHOUT = "outage_ttft", "outage_wait", "outage_without_tier"
HIT, MISS = "hit", "miss"
_GIVE_UP_S = 10.0
_FLUSH_S = 1.0
_WITHOUT_A_PHASE = 2


@dataclass(frozen=True, slots=True)
class DiedPlan:
    """Requests a phase, at least 4; tokens of the prefix, whole blocks of 64; of each answer.

    Where a server is back, requests go on until it is seen again, and only then are counted.
    """

    requests: int
    prefix_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Served:
    """One request.

    Attributes
    ----------
    phase : str       what the server was doing
    answer : Answer
    wait_s : float    of its time, spent waiting for the network
    """

    phase: str
    answer: Answer
    wait_s: float

    @property
    def outcome(self) -> str:
        """Return "hit" or "miss"."""
        return HIT if self.answer.resumed_tokens else MISS


@dataclass(frozen=True, slots=True)
class ServerDied:
    """What `measure` found.

    Attributes
    ----------
    served : tuple             all requests in order
    without : tuple            answers of machines without the tier
    seen_again_s : dict        after `RESTARTED` and `THAWED`: until the tier asked the server again
    """

    served: tuple[Served, ...]
    without: tuple[Answer, ...]
    seen_again_s: dict[str, float]

    def waits_s(self, phase: str) -> list[float]:
        """Return what each request of a phase waited for the network."""
        return [one.wait_s for one in self.served if one.phase == phase]

    @property
    def n_different(self) -> int:
        """Return how many answers differ in any bit from those without the tier."""
        digests = {answer.digest for answer in self.without}
        return sum({one.answer.digest} != digests for one in self.served)

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows outage_ttft, outage_wait and outage_without_tier, in seconds."""
        rows = [metrics.rows(WITHOUT, "s", [answer.ttft_s for answer in self.without])]
        for number, one in enumerate(self.served, 1):
            labels = {"tier": "network", "case": f"request={number} phase={one.phase}"}
            labels["variant"] = one.outcome
            rows.append(metrics.rows(TTFT, "s", [one.answer.ttft_s], **labels))
            rows.append(metrics.rows(WAIT, "s", [one.wait_s], **labels))
        return pl.concat(rows)

    @property
    def table(self) -> pl.DataFrame:
        """Return a line a phase."""
        lines = []
        for phase in PHASES:
            some = [one for one in self.served if one.phase == phase]
            waits_ms = [1e3 * one.wait_s for one in some]
            lines.append(
                {
                    "server": phase,
                    "requests": len(some),
                    "hits": sum(one.outcome == HIT for one in some),
                    "first token, ms (median)": _median(1e3 * one.answer.ttft_s for one in some),
                    "waited for the network, ms (median)": _median(waits_ms),
                    "first three, ms (worst)": max(waits_ms[:FIRST]),
                    "later, ms (worst)": max(waits_ms[FIRST:]),
                    "seen again after, s": self.seen_again_s.get(phase),
                }
            )
        lines.append(
            {
                "server": "no network tier",
                "requests": len(self.without),
                "first token, ms (median)": _median(1e3 * one.ttft_s for one in self.without),
            }
        )
        return pl.DataFrame(lines, infer_schema_length=None)


def measure(model_path: Path, store: Path, plan: DiedPlan) -> ServerDied:
    """Answer one prompt again and again, phase by phase.

    Raises
    ------
    TimeoutError   if the tier had not found the server ten seconds after its phase

    Cost    ``5 * requests + 10`` answers, half of them hits, and 1 s of misses at each return.
    """
    prompt = real_text.token_ids(model_path, plan.prefix_tokens + 1, 1)
    n_tokens = len(prompt) + plan.answer_tokens
    with ExitStack() as stack:
        model = stack.enter_context(LlamaModel.open(model_path))
        n_bytes = scratch_bytes(model, n_tokens)
        folder = stack.enter_context(scratch_folder(store, "server-died", n_bytes))
        stack.enter_context(said_once())
        day = _Day(stack, model, folder, prompt, plan.answer_tokens)
        without, served = [], []
        with meter("the day the server died", len(PHASES)) as on_phase:
            for number, phase in enumerate(PHASES, 1):
                # Before each phase, as a machine that drifts should do so for both.
                without += [day.ask(None) for _ in range(_WITHOUT_A_PHASE)]
                day.begin(phase)
                served += day.served_until_seen(phase)
                served += [day.served(phase) for _ in range(plan.requests)]
                on_phase(number)
        return ServerDied(tuple(served), tuple(without), day.seen_again_s())


class WatchedTier(NetworkTier):
    """A network tier that adds up what its callers waited."""

    waited_s = 0.0

    def contains_many(self, *arguments: Any, **named: Any) -> list[bool]:
        """Ask, and count the time."""
        with self._counted():
            return super().contains_many(*arguments, **named)

    def get_frames(self, *arguments: Any, **named: Any) -> Any:
        """Fetch, and count the time."""
        with self._counted():
            return super().get_frames(*arguments, **named)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.waited_s += time.perf_counter() - start


class _Day:
    """A server that things happen to, and the requests meanwhile."""

    def __init__(
        self,
        stack: ExitStack,
        model: LlamaModel,
        folder: Path,
        prompt: Sequence[int],
        answer_tokens: int,
    ) -> None:
        self._model, self._folder = model, folder
        self._prompt, self._answer_tokens = prompt, answer_tokens
        self._server = EmbeddedServer()
        stack.callback(lambda: self._server.close())
        opened = WatchedTier.open(NetworkTierConfig(self._server.url), required=True)
        assert isinstance(opened, WatchedTier)
        self._tier = stack.enter_context(opened)
        # A frozen server would outlive whoever asks it to end.
        stack.callback(lambda: self._signal(signal.SIGCONT))
        self._watch = stack.enter_context(ThreadPoolExecutor(1))
        self._seen_again: dict[str, Future[float]] = {}

    def begin(self, phase: str) -> None:
        """Do to the server what a phase begins with."""
        if phase == HEALTHY:
            self.ask(self._tier)
        elif phase == KILLED:
            self._signal(signal.SIGKILL)
        elif phase == RESTARTED:
            port = self._server.port
            self._server.close()
            self._server = EmbeddedServer(port=port)
        else:
            self._signal(signal.SIGSTOP if phase == FROZEN else signal.SIGCONT)
        if phase in (RESTARTED, THAWED):
            self._seen_again[phase] = self._watch.submit(self._wait)

    def _wait(self) -> float:
        start = time.perf_counter()
        if not self._tier.wait_for_health(_GIVE_UP_S):
            raise TimeoutError(f"the server was not found again within {_GIVE_UP_S:g} s")
        return time.perf_counter() - start

    def seen_again_s(self) -> dict[str, float]:
        """Return how long after each return of the server the tier asked it again."""
        return {phase: seen.result() for phase, seen in self._seen_again.items()}

    def served_until_seen(self, phase: str) -> list[Served]:
        """Serve requests until the tier asks a server again that is back."""
        found: list[Served] = []
        seen = self._seen_again.get(phase)
        while seen is not None and not seen.done():
            found.append(self.served(phase))
        return found

    def served(self, phase: str) -> Served:
        """Serve one request."""
        before = self._tier.waited_s
        answer = self.ask(self._tier)
        return Served(phase, answer, self._tier.waited_s - before)

    def ask(self, network: NetworkTier | None) -> Answer:
        """Ask a fresh machine."""
        n_tokens = len(self._prompt) + self._answer_tokens
        with fresh_machine(self._model, self._folder, n_tokens, network) as cache:
            answer = ask(self._model, cache, self._prompt, self._answer_tokens)
        if network is not None:
            network.flush(_FLUSH_S)
        return answer

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._server.pid, number)


def _median(values: Iterator[float] | Sequence[float] | Any) -> float:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])
