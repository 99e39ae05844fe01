"""Time a prefix that comes over the network against computing it again, by its length.

Follows: the real model on a real server on loopback; each round asks a machine that has never seen
the prefix, with the network tier and without. The clock runs from the question to the first logits
behind the prefix, by way of the asking machine's SSD. Answers must be equal to the bit.
Leaves out: links slower than loopback, but for what their bytes alone would add (`over_link_s`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.network.fresh_machine import Answer, ask, fresh_machine, scratch_bytes
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.benchmark.selection import real_text
from workbench.benchmark.statistics import Ratio
from workbench.inference.llama import LlamaModel
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig
from workbench.tiering.memory import MIB

HIT, COMPUTED = "hit from the network", "computed again"
METRIC = "network_ttft"
_BITS = 8e-6
# A busy machine must not turn a slow block into a missing one.
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class HitPlan:
    """Prefixes' lengths in tokens, whole blocks of 64; rounds; tokens of each answer."""

    lengths: tuple[int, ...]
    rounds: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class NetworkHits:
    """What `measure` found.

    Attributes
    ----------
    samples : mapping            rounds of `HIT` and `COMPUTED` by length; work in prefixes
    bytes_per_token : int        of keys and values, over the network
    """

    samples: Mapping[int, Samples]
    bytes_per_token: int

    def seconds(self, n_tokens: int, way: str) -> float:
        """Return the median seconds to the first logits."""
        return 1 / self.samples[n_tokens].median_rate(way)

    def over_link_s(self, n_tokens: int, link_mbit_s: float) -> float:
        """Return what a hit would take over a link: measured here, and its bytes on the link."""
        on_link_s = n_tokens * self.bytes_per_token * _BITS / link_mbit_s
        return self.seconds(n_tokens, HIT) + on_link_s

    def break_even_mbit_s(self, n_tokens: int) -> float | None:
        """Return the slowest link over which a hit is still sooner; None: none is."""
        gained_s = self.seconds(n_tokens, COMPUTED) - self.seconds(n_tokens, HIT)
        return n_tokens * self.bytes_per_token * _BITS / gained_s if gained_s > 0 else None

    def break_even_tokens(self, link_mbit_s: float | None = None) -> int | None:
        """Return the shortest measured prefix from which on hits are sooner; None: there is none.

        Parameters
        ----------
        link_mbit_s : float or None   None: loopback, as measured
        """
        found = None
        for n_tokens in sorted(self.samples, reverse=True):
            hit_s = (
                self.seconds(n_tokens, HIT)
                if link_mbit_s is None
                else self.over_link_s(n_tokens, link_mbit_s)
            )
            if hit_s >= self.seconds(n_tokens, COMPUTED):
                break
            found = n_tokens
        return found

    def ratio(self, n_tokens: int) -> Ratio:
        """Return how many times sooner a hit answers."""
        return self.samples[n_tokens].ratio(HIT, COMPUTED)

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows network_ttft, in seconds."""
        return pl.concat(
            metrics.rows(
                METRIC,
                "s",
                found.seconds[way],
                tier="network" if way == HIT else "",
                case=f"tokens={n_tokens}",
                variant=way,
            )
            for n_tokens, found in self.samples.items()
            for way in (HIT, COMPUTED)
        )

    def table(self, link_mbit_s: float) -> pl.DataFrame:
        """Return a line a length."""
        return pl.DataFrame(
            [
                {
                    "prefix, tokens": n_tokens,
                    "KV, MiB": n_tokens * self.bytes_per_token / MIB,
                    f"{COMPUTED}, ms": 1e3 * self.seconds(n_tokens, COMPUTED),
                    f"{HIT}, ms": 1e3 * self.seconds(n_tokens, HIT),
                    "sooner": str(self.ratio(n_tokens)),
                    f"over {link_mbit_s:,} Mbit/s, ms (calculated)": 1e3
                    * self.over_link_s(n_tokens, link_mbit_s),
                    "break-even link, Mbit/s": self.break_even_mbit_s(n_tokens),
                    "same answer, bit by bit": True,
                }
                for n_tokens in self.samples
            ]
        )


def measure(model_path: Path, store: Path, plan: HitPlan, seed: int = 0) -> NetworkHits:
    """Time both ways at every length, in turns.

    Parameters
    ----------
    seed : int   chooses the stretch of text

    Raises
    ------
    MediumError   if a prefix did not come over the network whole, or an answer differs

    Cost    ``2 * rounds + 4`` prefills of every length, with the hits' halves short.
    """
    longest = max(plan.lengths)
    ids = real_text.token_ids(model_path, longest + 1, seed % real_text.STRETCHES)
    with (
        LlamaModel.open(model_path) as model,
        scratch_folder(store, "network-hit", scratch_bytes(model, longest)) as folder,
        _shared_tier(model, longest) as network,
    ):
        found = {}
        for n_tokens in plan.lengths:
            asking = _Asking(model, folder, ids[: n_tokens + 1], plan.answer_tokens)
            asking.share(network)
            cases = [
                Case(HIT, asking.timed(network), 1.0),
                Case(COMPUTED, asking.timed(None), 1.0),
            ]
            with meter(f"network hit of {n_tokens}", plan.rounds) as on_round:
                found[n_tokens] = interleave(cases, plan.rounds, on_round)
        return NetworkHits(found, model.kv_geometry("float16").bytes_per_token)


@contextmanager
def _shared_tier(model: LlamaModel, n_tokens: int) -> Iterator[NetworkTier]:
    n_bytes = 2 * n_tokens * model.kv_geometry("float16").bytes_per_token
    with EmbeddedServer(256 * MIB + 2 * n_bytes) as server:
        config = NetworkTierConfig(
            server.url,
            connect_timeout_s=_PATIENCE_S,
            op_timeout_s=_PATIENCE_S,
            write_queue_bytes=64 * MIB + n_bytes,
            write_queue_blocks=4096,
        )
        with NetworkTier.open(config, required=True) as network:
            yield network


class _Asking:
    """One prefix and one token behind it, asked again and again."""

    def __init__(
        self, model: LlamaModel, folder: Path, prompt: Sequence[int], answer_tokens: int
    ) -> None:
        self._model, self._folder = model, folder
        self._prompt, self._answer_tokens = prompt, answer_tokens
        self._digest = ""

    def ask(self, network: NetworkTier | None) -> Answer:
        n_tokens = len(self._prompt) + self._answer_tokens
        with fresh_machine(self._model, self._folder, n_tokens, network) as cache:
            return ask(self._model, cache, self._prompt, self._answer_tokens)

    def share(self, network: NetworkTier) -> None:
        """Compute the prefix once where it is shared; its answer is what others must equal."""
        self._digest = self.ask(network).digest
        if not network.flush(60.0):
            raise MediumError("the embedded server did not take the prefix; check the memory")

    def timed(self, network: NetworkTier | None) -> Callable[[], float]:
        """Return what asks a machine of its own, and answers the seconds to the first logits."""
        wanted = 0 if network is None else len(self._prompt) - 1

        def run() -> float:
            answer = self.ask(network)
            if answer.digest != self._digest:
                raise MediumError("a restored prefix led to another answer; check the memory")
            if answer.resumed_tokens != wanted:
                raise MediumError(
                    f"{answer.resumed_tokens} of {wanted} tokens came over the network; "
                    "is the machine too busy? See `workbench doctor`"
                )
            return answer.ttft_s

        return run


def break_even_notes(hits: NetworkHits, link_mbit_s: float) -> tuple[str, ...]:
    """Say where loading and computing take equally long."""
    links = [hits.break_even_mbit_s(n_tokens) or np.inf for n_tokens in hits.samples]
    slow, fast = min(links), max(links)
    of_links = f"{slow:,.0f}" if slow == fast else f"{slow:,.0f} to {fast:,.0f}"
    return (
        f"over loopback {_from_on(hits, None)}",
        f"over {link_mbit_s:,} Mbit/s (calculated: the bytes' time on the link added) "
        f"{_from_on(hits, link_mbit_s)}",
        f"break-even link: {of_links} Mbit/s; over a slower one computing again is sooner",
    )


def _from_on(hits: NetworkHits, link_mbit_s: float | None) -> str:
    tokens = hits.break_even_tokens(link_mbit_s)
    if tokens is None:
        return "computing again is sooner at every length measured: no break-even"
    if tokens == min(hits.samples):
        return f"a hit is sooner from {tokens} tokens on, the shortest prefix measured"
    return f"a hit is sooner from {tokens} tokens on"
