"""Decode a text that lies cold on the SSD, reading all of it or a choice, and compare the answers.

Follows: teacher forcing behind a long context; bytes are the SSD tier's own count, quality is held
against the run that reads everything, time is what a token really took.
Leaves out: how much each layer may read (layer_needs.py measures that on another text).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.progress import track
from workbench.benchmark.scratch_files import scratch_folder
from workbench.benchmark.selection.answers import Answers, Distance, distance, joined
from workbench.benchmark.selection.cold_text import ColdLayout, ColdText, scratch_bytes, stored
from workbench.benchmark.selection.real_text import KeysValues, compute
from workbench.benchmark.statistics import Ratio
from workbench.inference.forward import Floats
from workbench.inference.llama import LlamaModel
from workbench.tiering.memory import MIB
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

# Rules, from the one that knows nothing to the one that reads all keys to know.
EVERYTHING = "everything"
RECENT, QUEST, SKETCH, BY_NEED = "recent", "quest_bound", "sketch", "sketch_by_need"
TRUE_MASS = "true_attention"
RULES = (RECENT, QUEST, SKETCH, BY_NEED, TRUE_MASS)
MOST_FRAC, MOST_KL = 0.3, 0.01
# From here on one word in ten or so is another one.
BROKEN_TOP1 = 0.9
DEFAULT = ColdLayout()
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Way:
    """One way to decode: a rule, the fraction of the cold blocks it may read, how they lie."""

    rule: str
    frac: float = 1.0
    layout: ColdLayout = DEFAULT
    once_per_frame: bool = False

    @property
    def name(self) -> str:
        """Return rule and fraction."""
        shared = ", one choice a frame" if self.once_per_frame else ""
        return f"{self.rule}{shared}" if self.frac == 1 else f"{self.rule} {self.frac:.0%}{shared}"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one way did, over all texts.

    Attributes
    ----------
    distance : Distance           from the answers of float16 when everything is read
    read_bytes : float            of frames that were read for a token, the mean
    all_bytes : float             the same when everything is read of this layout
    exact_bytes : float           the same when everything is read of the first layout, float16
    token_s : float64[n_tokens]   of each token
    summary_bytes, hot_bytes      memory: of key summaries; of blocks that stay
    """

    distance: Distance
    read_bytes: float
    all_bytes: float
    exact_bytes: float
    token_s: NDArray[np.float64]
    summary_bytes: int
    hot_bytes: int

    @property
    def read_frac(self) -> float:
        """Return the bytes read over those of everything, in the same layout."""
        return self.read_bytes / self.all_bytes

    @property
    def kl(self) -> float:
        """Return the mean KL in nats."""
        return float(self.distance.kl.mean())

    def kl_over(self, most_kl: float) -> Ratio:
        """Return the mean KL with its interval, in multiples of a bar."""
        mean = self.distance.mean_kl()
        low, high = mean.low / most_kl, mean.high / most_kl
        return Ratio(mean.median / most_kl, low, high, mean.n_rounds)

    @property
    def top1(self) -> float:
        """Return the fraction of tokens whose likeliest successor is the same."""
        return float(self.distance.same_top.mean())


@dataclass(frozen=True, slots=True, eq=False)
class PartialLoading:
    """What `measure` found: outcomes by way; the first one reads everything."""

    outcomes: dict[Way, Outcome]
    n_tokens: int
    context_tokens: int

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: fraction read, KL, top-1 agreement, perplexity and time a token."""
        return pl.concat([_rows(way, outcome) for way, outcome in self.outcomes.items()])

    @property
    def table(self) -> pl.DataFrame:
        """Return speed, bytes and quality of every way, a row each."""
        return pl.DataFrame(
            [_table_row(way, one, self.whole_read_s) for way, one in self.outcomes.items()]
        )

    @property
    def whole_read_s(self) -> float:
        """Return the seconds a token of the layout that reads everything fastest."""
        return min(
            float(np.median(one.token_s))
            for way, one in self.outcomes.items()
            if way.rule == EVERYTHING
        )

    @property
    def judged(self) -> tuple[Way, Outcome]:
        """Return what is judged: budgets by need in the first layout, 30 % of the cold blocks."""
        layout = next(iter(self.outcomes)).layout
        way = Way(BY_NEED, MOST_FRAC, layout)
        return way, self.outcomes[way]

    @property
    def judged_name(self) -> str:
        """Return what is judged, and what it read."""
        way, one = self.judged
        return f"{way.name}, {one.read_frac:.1%} of the cold bytes"

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know beside the table."""
        way, one = self.judged
        breaks = {rule: self.breaks(rule) for rule in RULES}
        found = [f"{rule} at {frac:.0%}" for rule, frac in breaks.items() if frac is not None]
        broken = ", ".join(found) or "never"
        best = self.best()
        least = "none" if best is None else f"{best.name} ({best.layout.name})"
        return (
            f"{self.n_tokens} tokens behind {self.context_tokens:,} each; teacher forcing; KL of "
            "the next-token distributions, from the run that reads everything in float16",
            "bytes are those of the frames that the SSD tier counted as read, with their pages of "
            f"headers; {one.hot_bytes / _MB:.1f} MB of blocks (sinks and the last "
            f"{way.layout.recent_tokens} tokens) and {one.summary_bytes / _MB:.1f} MB of summaries "
            "stay in memory",
            f"summaries take {one.summary_bytes / one.all_bytes:.1%} of the cold bytes",
            f"least bytes at a KL of {MOST_KL:g} or less: {least}",
            f"the likeliest token differs in more than 1 of 10 cases: {broken}",
        )

    def best(self, most_kl: float = MOST_KL) -> Way | None:
        """Return the way of a key summary that reads least at that KL; None: there is none."""
        good = [
            way
            for way, one in self.outcomes.items()
            if way.rule not in (EVERYTHING, TRUE_MASS) and one.kl <= most_kl
        ]
        return min(good, key=lambda way: self.outcomes[way].read_frac, default=None)

    def breaks(self, rule: str) -> float | None:
        """Return the largest measured fraction at which a rule's answers visibly break."""
        broken = [
            way.frac
            for way, one in self.outcomes.items()
            if way.rule == rule and one.top1 < BROKEN_TOP1
        ]
        return max(broken, default=None)


def ways(
    fracs: Sequence[float], rules: Sequence[str] = RULES, layout: ColdLayout = DEFAULT
) -> list[Way]:
    """Return everything, and each rule at each fraction."""
    chosen = [Way(rule, frac, layout) for rule in rules for frac in fracs]
    return [Way(EVERYTHING, 1.0, layout), *chosen]


def layouts(frac: float) -> list[Way]:
    """Return what else can be read at once: larger blocks, frames of several layers, int8."""
    # Frames of six layers need memory in which the chosen ones wait for their other layers.
    wide = ColdLayout(64, 6, staging_bytes=24 * MIB)
    found = []
    for layout in (ColdLayout(64, 1), wide, ColdLayout(16, 1, "int8")):
        found += [Way(EVERYTHING, 1.0, layout), Way(BY_NEED, frac, layout)]
    return [*found, Way(BY_NEED, frac, wide, True)]


def measure(
    model: LlamaModel,
    store: Path,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    all_ways: Sequence[Way],
    needs: Sequence[float],
) -> PartialLoading:
    """Decode what follows each text in every way.

    Parameters
    ----------
    store : Path          folder on the disk to measure
    texts : sequence      token ids of a context, a whole number of blocks, and of what follows
    all_ways : sequence   the first reads everything, in float16
    needs : sequence      one a layer: what budgets by need are in proportion to

    Raises
    ------
    MediumError   if the disk does not hold the text, or reads come from the page cache

    Cost    one prefill a text, and 50 to 200 ms a token and way at 4,096 tokens of the 135M model.
    """
    parts: list[dict[Way, _Decoded]] = []
    for number, (ids, following) in enumerate(texts):
        text = compute(model, list(ids))
        parts.append(_of_text(model, store, text, list(following), all_ways, needs, number))
    first = all_ways[0]
    exact_bytes = float(np.mean([part[first].read_bytes for part in parts]))
    outcomes = {way: _joined(way, parts, all_ways, exact_bytes) for way in all_ways}
    n_tokens = sum(len(following) for _, following in texts)
    return PartialLoading(outcomes, n_tokens, len(texts[0][0]))


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    answers: Answers
    distance: Distance
    read_bytes: float
    token_s: NDArray[np.float64]
    summary_bytes: int
    hot_bytes: int


def _of_text(
    model: LlamaModel,
    store: Path,
    text: KeysValues,
    following: list[int],
    all_ways: Sequence[Way],
    needs: Sequence[float],
    number: int,
) -> dict[Way, _Decoded]:
    n_layouts = len({way.layout for way in all_ways})
    needed = scratch_bytes(len(text.token_ids), n_layouts)
    found: dict[Way, _Decoded] = {}
    with scratch_folder(store, f"partial-{number}", needed) as folder:
        for at, layout in enumerate(dict.fromkeys(way.layout for way in all_ways)):
            some = [way for way in all_ways if way.layout == layout]
            with stored(model, folder / str(at), layout, text) as cold:
                decoder = Decoder(cold, following, needs)
                for way in track(some, f"text {number}, {layout.name}", len(some)):
                    exact = found[all_ways[0]].answers if found else None
                    found[way] = decoder.decode(way, exact)
    return found


class Decoder:
    """Decodes what follows a cold text, in any way."""

    def __init__(self, cold: ColdText, following: Sequence[int], needs: Sequence[float]) -> None:
        self._cold, self._following, self._needs = cold, following, needs
        self._summaries: dict[str, KeySummaries] = {}
        self._true: _TrueWeights | None = None

    def decode(self, way: Way, exact: Answers | None = None) -> _Decoded:
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
        return _Decoded(
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


def _joined(
    way: Way, parts: Sequence[dict[Way, _Decoded]], all_ways: Sequence[Way], exact_bytes: float
) -> Outcome:
    same = [one for one in all_ways if one.layout == way.layout and one.rule == EVERYTHING]
    everything = same[0] if same else all_ways[0]
    of_all = [part[everything] for part in parts]
    these = [part[way] for part in parts]
    return Outcome(
        joined([one.distance for one in these]),
        float(np.mean([one.read_bytes for one in these])),
        float(np.mean([one.read_bytes for one in of_all])),
        exact_bytes,
        np.concatenate([one.token_s for one in these]),
        these[0].summary_bytes,
        these[0].hot_bytes,
    )


def _rows(way: Way, one: Outcome) -> pl.DataFrame:
    def row(metric: str, unit: str, values: Sequence[float]) -> pl.DataFrame:
        case = f"frac={way.frac:g} layout={way.layout.name}"
        variant = f"{way.rule}_once_per_frame" if way.once_per_frame else way.rule
        return metrics.rows(metric, unit, values, tier="device", case=case, variant=variant)

    return pl.concat(
        [
            row("cold_read_frac", "ratio", [one.read_frac]),
            row("cold_read", "bytes", [one.read_bytes]),
            row("kl", "nats", one.distance.kl.tolist()),
            row("top1_agreement", "ratio", [one.top1]),
            row("perplexity_change", "ratio", [one.distance.perplexity_change]),
            row("cold_token", "ms", (1e3 * one.token_s).tolist()),
        ]
    )


def _table_row(way: Way, one: Outcome, whole_read_s: float) -> dict[str, object]:
    kl = one.distance.mean_kl()
    median_ms = 1e3 * float(np.median(one.token_s))
    return {
        "way": way.name,
        "layout": way.layout.name,
        "MB read a token": one.read_bytes / _MB,
        "of everything": f"{100 * one.read_frac:.1f} %",
        "of float16": f"{100 * one.read_bytes / one.exact_bytes:.1f} %",
        "KL": f"{kl.median:.5f}",
        "KL 99 %": f"{kl.low:.5f} to {kl.high:.5f}",
        "top-1": f"{100 * one.top1:.1f} %",
        "perplexity": f"{100 * one.distance.perplexity_change:+.2f} %",
        "ms a token": median_ms,
        "times the fastest whole read": 1e3 * whole_read_s / median_ms,
        "summaries MB": one.summary_bytes / _MB,
        "hot MB": one.hot_bytes / _MB,
    }
