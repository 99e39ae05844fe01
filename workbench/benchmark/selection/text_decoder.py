"""Decode what follows a text that lies cold on the SSD, in one way after another.

Follows: teacher forcing; every way starts from the same blocks with no more than their ends hot.
Leaves out: which ways (ways.py), several texts (partial_loading.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.selection.answers import Answers, Distance, distance
from workbench.benchmark.selection.cold_text import ColdText
from workbench.benchmark.selection.ways import (
    BY_NEED,
    EVERYTHING,
    QUEST,
    RECENT,
    SKETCH,
    TRUE_MASS,
    Way,
)
from workbench.inference.forward import Floats
from workbench.tiering.tiered_kv_cache import (
    Budgets,
    Important,
    KeySummaries,
    Recent,
    Selection,
    SelectiveSequence,
)
from workbench.tiering.tiered_kv_cache.key_summaries import Kind
from workbench.tiering.tiered_kv_cache.selection import OncePerFrame


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What one way did to one text; as `partial_outcomes.Outcome`."""

    answers: Answers
    distance: Distance
    read_bytes: float
    token_s: NDArray[np.float64]
    summary_bytes: int
    hot_bytes: int


class Decoder:
    """Decodes what follows a cold text, in any way."""

    def __init__(self, cold: ColdText, following: Sequence[int], needs: Sequence[float]) -> None:
        self._cold, self._following, self._needs = cold, following, needs
        self._summaries: dict[str, KeySummaries] = {}
        self._true: _TrueWeights | None = None

    def decode(self, way: Way, exact: Answers | None = None) -> Decoded:
        """Decode all tokens; without exact answers these are the exact ones."""
        cold, model = self._cold, self._cold.model
        n_context = len(cold.text.token_ids)
        logits: list[Floats] = []
        token_s = []
        with cold.open() as sequence:
            known = self._known(way)
            selection = self.selection(way, known)
            decoded = (
                sequence
                if selection is None
                else SelectiveSequence(sequence, selection, lambda: model.queries, known)
            )
            before = cold.read_bytes
            for one in self._following:
                start = perf_counter()
                logits.append(model.forward([one], decoded))
                token_s.append(perf_counter() - start)
            read = cold.read_bytes - before
            hot_bytes = cold.hot_blocks * sequence.layout.block_bytes
        answers = Answers.of(logits, self._following)
        summary_bytes = 0
        if known is not None:
            known.cut(n_context)
            summary_bytes = known.n_blocks * known.block_bytes
        return Decoded(
            answers,
            distance(exact or answers, answers),
            read / len(self._following),
            np.array(token_s),
            summary_bytes,
            hot_bytes,
        )

    def selection(self, way: Way, known: KeySummaries | None) -> Selection | None:
        """Return the rule of a way; None: everything is read."""
        layers = self._cold.model.config.layers
        if way.rule == EVERYTHING:
            return None
        uniform = Budgets.uniform(way.frac, layers)
        by_need = Budgets.shared_out(way.frac, self._needs)
        rules: dict[str, Callable[[], Selection]] = {
            RECENT: lambda: Recent(uniform),
            QUEST: lambda: Important(_the(known), uniform),
            SKETCH: lambda: Important(_the(known), uniform),
            BY_NEED: lambda: Important(_the(known), by_need),
            TRUE_MASS: lambda: Important(self._true_weights(), by_need),
        }
        rule = rules[way.rule]()
        return OncePerFrame(rule, way.layout.frame_layers) if way.once_per_frame else rule

    def _true_weights(self) -> _TrueWeights:
        if self._true is None:
            self._true = _TrueWeights(self._cold)
        return self._true

    def _known(self, way: Way) -> KeySummaries | None:
        if way.rule in (EVERYTHING, RECENT, TRUE_MASS):
            return None
        kind: Kind = "bounds" if way.rule == QUEST else "sketch"
        if kind not in self._summaries:
            self._summaries[kind] = self._cold.summaries(kind)
        return self._summaries[kind]


class _TrueWeights:
    """The attention itself, from keys that are kept in memory for it: no estimate can do better."""

    def __init__(self, cold: ColdText) -> None:
        # [layers, kv_heads, head_dim, n_tokens], as BLAS multiplies it fastest.
        self._keys = np.ascontiguousarray(cold.text.k.transpose(0, 2, 3, 1))
        self._size = cold.layout.block_tokens

    def weights(self, layer: int, query: Floats) -> Floats:
        keys = self._keys[layer]
        heads, dim = query.shape
        grouped = query.reshape(len(keys), -1, dim) / np.float32(np.sqrt(dim))
        scores = (grouped @ keys).reshape(heads, -1)
        each = np.exp(scores - scores.max(axis=1, keepdims=True))
        sums = each.reshape(heads, -1, self._size).sum(axis=2) / each.sum(axis=1, keepdims=True)
        return np.ascontiguousarray(sums.T)


def _the(known: KeySummaries | None) -> KeySummaries:
    assert known is not None
    return known
