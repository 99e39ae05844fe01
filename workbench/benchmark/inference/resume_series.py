"""Measure Day 5's resume: texts of several lengths from a cold SSD, computed again, and llama.cpp.

Follows: resume.py; one pass over the longest text gives the time to compute every shorter one.
Leaves out: the judged ratios (inference_bars.py), which recompute in every round.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.inference.own_engine import FIRST_ID
from workbench.benchmark.inference.resume import (
    PeerState,
    ResumePlan,
    Store,
    saved_states,
    scratch_bytes,
    stored,
)
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import track
from workbench.benchmark.scratch_files import scratch_folder
from workbench.inference.llama import available_threads

METRIC = "ttft"
# Variants, in the order in which they are shown.
RECOMPUTED, RESUMED = "computed again", "resumed from the SSD"
PEER_COMPUTED, PEER_RESUMED = "llama.cpp, computed again", "llama.cpp, state restored"

Seconds = dict[str, dict[int, list[float]]]


@dataclass(frozen=True, slots=True)
class ResumeSeries:
    """What `measure` found.

    Attributes
    ----------
    seconds : dict         variant -> length -> seconds to the first token, one a round
    notes : tuple of str   what a reader must know beside the figures
    """

    seconds: Seconds
    notes: tuple[str, ...]

    def median_s(self, variant: str, n_tokens: int) -> float:
        """Return the median seconds to the first token."""
        return float(np.median(self.seconds[variant][n_tokens]))

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: milliseconds to the first token."""
        return pl.concat(
            metrics.rows(
                METRIC,
                "ms",
                np.array(values) * 1e3,
                tier="hot" if "computed" in variant else "device",
                case=f"tokens={n_tokens}",
                variant=variant,
            )
            for variant, by_length in self.seconds.items()
            for n_tokens, values in by_length.items()
        )

    @property
    def table(self) -> pl.DataFrame:
        """Return one row a length: milliseconds of every variant, and how much sooner ours is."""
        lengths = list(self.seconds[RECOMPUTED])
        return pl.DataFrame(
            [
                {
                    "tokens": n_tokens,
                    **{f"{name} ms": 1e3 * self.median_s(name, n_tokens) for name in self.seconds},
                    "times sooner": self.median_s(RECOMPUTED, n_tokens)
                    / self.median_s(RESUMED, n_tokens),
                }
                for n_tokens in lengths
            ]
        )


def measure(
    model_path: Path, store: Path, plan: ResumePlan, *, with_peer: bool = True, seed: int = 0
) -> ResumeSeries:
    """Compute one text, then resume every length of it, each time from a cold SSD.

    Parameters
    ----------
    store : Path        folder on the disk to use
    with_peer : bool    let llama.cpp do the same, if it is installed

    Raises
    ------
    MediumError    if the disk cannot be measured
    PeerError      if llama.cpp fails
    StorageError, GGUFError, UsageError   as the parts raise them

    Cost    one prefill of the greatest length for each engine; then tenths of a second a round.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(store, "resume", 2 * scratch_bytes(plan)))
        text = stack.enter_context(stored(model_path, folder, plan, seed))
        seconds: Seconds = {
            RECOMPUTED: {n: [taken] for n, taken in text.recomputed_s.items()},
            RESUMED: {n: [] for n in plan.lengths},
        }
        peer = None
        if with_peer and LlamaCppPeer.available():
            settings = PeerSettings(model_path, len(text.ids) + 64, available_threads())
            peer = stack.enter_context(LlamaCppPeer(settings))
        states = _computed(peer, folder, text, plan, seconds)
        for _ in track(range(plan.rounds), "resume", plan.rounds):
            _one_round(text, peer, states, plan, seconds)
    return ResumeSeries(seconds, _notes(plan, peer is not None, with_peer))


def _computed(
    peer: LlamaCppPeer | None, folder: Path, text: Store, plan: ResumePlan, seconds: Seconds
) -> dict[int, PeerState]:
    """Let the peer compute the text once and save its states; note how long computing took."""
    if peer is None:
        return {}
    saved = saved_states(peer, folder, text.ids, plan.lengths)
    seconds[PEER_COMPUTED] = {n_tokens: [taken] for n_tokens, _, taken in saved}
    seconds[PEER_RESUMED] = {n_tokens: [] for n_tokens in plan.lengths}
    return {n_tokens: PeerState(peer, path) for n_tokens, path, _ in saved}


def _one_round(
    text: Store,
    peer: LlamaCppPeer | None,
    states: dict[int, PeerState],
    plan: ResumePlan,
    seconds: Seconds,
) -> None:
    for n_tokens in plan.lengths:
        seconds[RESUMED][n_tokens].append(text.resume(n_tokens))
        if peer is not None:
            restored = states[n_tokens].restore()
            first = peer.decode_seconds(1, FIRST_ID)
            seconds[PEER_RESUMED][n_tokens].append(restored + first)


def _notes(plan: ResumePlan, has_peer: bool, with_peer: bool) -> tuple[str, ...]:
    notes = [
        f"to the logits of one new token behind the text; keys and values in {plan.dtype}; every "
        f"resume begins with nothing in memory and reads past the page cache, {plan.rounds} rounds",
        "computing again was timed once, over the longest text; shorter ones are parts of it",
    ]
    if has_peer:
        notes.append(
            "llama.cpp: float16, flash attention off; its state file is dropped from the page "
            "cache before each restore; it holds no checksum, ours are verified"
        )
    elif with_peer:
        notes.append(f"llama.cpp is not installed here; to enable: {LlamaCppPeer.enable}")
    else:
        notes.append("llama.cpp is left out with this preset")
    return tuple(notes)
