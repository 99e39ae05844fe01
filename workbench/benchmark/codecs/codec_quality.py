"""Measure what a codec does to a real model's text: perplexity, KL, top-1 and greedy continuation.

Follows: teacher forcing. A prefix's keys and values go through the cold tier of a real store and
come back, then the model scores the text behind it. The worst case codes every block before
anything attends to it, the block's own tokens too. Differences are taken token by token.
Leaves out: speed (codec_rates.py, codec_restore.py).

The fast forward pass rounds activations to int8, so the smallest change of a key moves its logits:
`LAST_BIT`, float16 moved by one last bit, shows how far. Codecs are judged with float32 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.codecs.codec_damage import Damage, joined, log_softmax
from workbench.benchmark.codecs.coded_sequence import CodedSequence
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import scratch_folder
from workbench.datasets.text import embedded_text
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.tokenizer import read_tokenizer
from workbench.tiering.memory import MIB
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import (
    BlockLayout,
    CacheConfig,
    CachedSequence,
    TieredKVCache,
)

LAST_BIT = "none, last bit moved"
RESTORED, WORST = "prefix restored", "every block coded"
_BLOCK_TOKENS = 64
_SEGMENT_BYTES = 16 * MIB

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class QualityPlan:
    """How much text, and how it is computed.

    Attributes
    ----------
    windows : int          pieces of text, each with a prefix of its own
    prefix_tokens : int    whole blocks that are coded
    scored_tokens : int    behind them
    worst_windows : int    windows of the worst case; 0: it is left out
    greedy_tokens : int    continued greedily behind each prefix, with the fast forward pass
    exact : bool           score in float32 throughout
    worst : tuple          codecs of the worst case
    fast_prefix : bool     prefixes are computed by the fast forward pass, which rounds them more;
                           coded and uncoded ones alike
    """

    windows: int
    prefix_tokens: int
    scored_tokens: int
    worst_windows: int
    greedy_tokens: int
    exact: bool = True
    worst: tuple[str, ...] = ("int8", "int4-hadamard")
    fast_prefix: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """What `measure` found.

    Attributes
    ----------
    damages : tuple of Damage
    k, v : float16[n_tokens, layers, kv_heads, head_dim]   of the first prefix
    perplexity : float                                     of the scored text without a codec
    prefill_tokens_s : float                               of the fast forward pass
    """

    damages: tuple[Damage, ...]
    k: Halves
    v: Halves
    perplexity: float
    prefill_tokens_s: float


def text_ids(model: Path, n_tokens: int, text: str | None = None) -> list[int]:
    """Return the ids of the first tokens of a text; None: CPython's own English.

    Raises
    ------
    UsageError   if the text is too short
    """
    text = embedded_text() if text is None else text
    ids = read_tokenizer(read_header(model)).encode(text[: 12 * n_tokens])[:n_tokens]
    if len(ids) < n_tokens:
        raise UsageError(
            f"the text has {len(ids)} tokens, {n_tokens} are needed; give a longer one, or measure "
            "fewer windows"
        )
    return ids


def measure(
    model: Path, store: Path, plan: QualityPlan, codecs: Sequence[str], text: str | None = None
) -> Quality:
    """Score a text behind prefixes that went through each codec, and without.

    Parameters
    ----------
    codecs : sequence of str   names of `compression.CODECS`, and `LAST_BIT`

    Raises
    ------
    UsageError    if the text is too short, or the prefix is not whole blocks
    MediumError   if a prefix could not be stored or was not found again

    Cost    a forward pass of each window, and of its scored part a codec; with ``exact`` about
            30 tokens a second.
    """
    with opened(model, store, plan) as scoring:
        return scoring.measure(codecs, text)


@contextmanager
def opened(model: Path, store: Path, plan: QualityPlan) -> Iterator[Scoring]:
    """Open a model and a store for several measurements; opening takes seconds.

    Raises
    ------
    UsageError   if the prefix is not whole blocks
    """
    if plan.prefix_tokens % _BLOCK_TOKENS or not plan.prefix_tokens:
        raise UsageError(
            f"prefix_tokens={plan.prefix_tokens} must be whole blocks of {_BLOCK_TOKENS}"
        )
    with (
        LlamaModel.open(model) as fast,
        _scorer(model, fast, plan.exact) as scorer,
        scratch_folder(store, "quality", 256 * MIB) as folder,
        SsdTier.open(folder, SsdTierConfig(256 * MIB, _SEGMENT_BYTES)) as tier,
    ):
        yield Scoring(model, scorer, fast, tier, plan)


@dataclass(frozen=True, slots=True)
class Scoring:
    """A model and a store that are open, and how they are used."""

    model: Path
    scorer: LlamaModel
    fast: LlamaModel
    tier: SsdTier
    plan: QualityPlan

    def measure(self, codecs: Sequence[str], text: str | None = None) -> Quality:
        """Score a text behind prefixes that went through each codec (`measure`)."""
        plan = self.plan
        n_window = plan.prefix_tokens + plan.scored_tokens
        ids = text_ids(self.model, plan.windows * n_window, text)
        windows = [ids[start : start + n_window] for start in range(0, len(ids), n_window)]
        run = _Run(self)
        with meter("quality", len(windows)) as on_window:
            for number, window in enumerate(windows):
                run.score(window, codecs, with_worst=number < plan.worst_windows)
                on_window(number + 1)
        return run.found()


@contextmanager
def _scorer(model: Path, fast: LlamaModel, exact: bool) -> Iterator[LlamaModel]:
    if not exact:
        yield fast
        return
    with LlamaModel.open(model, exact=True) as scorer:
        yield scorer


class _Run:
    """The models, the store, and what was found so far."""

    def __init__(self, scoring: Scoring) -> None:
        self._scorer, self._fast = scoring.scorer, scoring.fast
        self._tier, self._plan = scoring.tier, scoring.plan
        self._geometry = self._scorer.kv_geometry("float16")
        self._damages: dict[tuple[str, str], list[Damage]] = {}
        self._expected: list[NDArray[np.float64]] = []
        self._first: tuple[Halves, Halves] | None = None
        self._prefill: list[float] = []

    def score(self, ids: list[int], codecs: Sequence[str], with_worst: bool) -> None:
        """Score one window without a codec, then with each."""
        n = self._plan.prefix_tokens
        logits, k, v = self._uncoded(ids)
        targets = np.array(ids[n:])
        base = log_softmax(logits)
        self._expected.append(base[np.arange(len(targets)), targets])
        if self._first is None:
            self._first = (k, v)
        greedy, _ = self._continued(ids[:n], k, v, "none")
        for name in codecs:
            moved = _last_bits_moved(k, v) if name == LAST_BIT else (k, v)
            codec = "none" if name == LAST_BIT else name
            found = self._restored_logits(ids, *moved, codec)
            continued, rate = self._continued(ids[:n], *moved, codec)
            same = _n_same(greedy, continued)
            self._add(name, RESTORED, base, log_softmax(found), targets, same, rate)
            if with_worst and name in self._plan.worst:
                found = self._worst_logits(ids, codec)
                self._add(name, WORST, base, log_softmax(found), targets, 0, 0.0)

    def _uncoded(self, ids: list[int]) -> tuple[Floats, Halves, Halves]:
        """Return the logits to compare with, and the prefix's keys and values."""
        n = self._plan.prefix_tokens
        with self._cache("none", None) as cache, cache.sequence() as sequence:
            if not self._plan.fast_prefix:
                logits = self._logits(ids, sequence)[n - 1 : -1]
                return logits, *_gathered(sequence, n, self._geometry.layers)
            self._fast.use_cache(cache.layout)
            self._fast.forward(ids[:n], sequence)
            k, v = _gathered(sequence, n, self._geometry.layers)
        return self._restored_logits(ids, k, v, "none"), k, v

    def _add(
        self,
        name: str,
        how: str,
        base: NDArray[np.float64],
        coded: NDArray[np.float64],
        targets: NDArray[np.int64],
        same: int,
        rate: float,
    ) -> None:
        rows = np.arange(len(targets))
        damage = Damage(
            name,
            how,
            base[rows, targets] - coded[rows, targets],
            (np.exp(base) * (base - coded)).sum(axis=1),
            base.argmax(axis=1) == coded.argmax(axis=1),
            np.array([same]),
            rate,
        )
        self._damages.setdefault((name, how), []).append(damage)

    def found(self) -> Quality:
        """Return everything, windows of one codec together."""
        assert self._first is not None
        return Quality(
            tuple(joined(parts) for parts in self._damages.values()),
            *self._first,
            float(np.exp(-np.concatenate(self._expected).mean())),
            float(np.median(self._prefill)) if self._prefill else 0.0,
        )

    @contextmanager
    def _cache(self, codec: str, tier: SsdTier | None) -> Iterator[TieredKVCache]:
        blocks = -(-(self._plan.prefix_tokens + self._plan.scored_tokens) // _BLOCK_TOKENS) + 4
        blocks += self._plan.greedy_tokens // _BLOCK_TOKENS
        layout = BlockLayout(self._geometry)
        config = CacheConfig(
            self._geometry,
            blocks * layout.block_bytes,
            high_watermark_frac=1.0,
            low_watermark_frac=1.0,
            staging_bytes=8 * MIB,
            codec=codec,
        )
        with TieredKVCache(config, tier) as cache:
            yield cache

    def _logits(self, ids: Sequence[int], sequence: CachedSequence | CodedSequence) -> Floats:
        self._scorer.use_cache(BlockLayout(self._geometry))
        return np.concatenate([rows.copy() for rows in self._scorer.logits(ids, sequence)])

    @contextmanager
    def _restored(
        self, ids: list[int], k: Halves, v: Halves, codec: str
    ) -> Iterator[CachedSequence]:
        """Store a prefix through a codec, and yield it as a new cache loads it."""
        with self._cache(codec, self._tier) as cache, cache.sequence() as sequence:
            sequence.append(ids, k, v)
            is_stored = sequence.persist()
        with self._cache(codec, self._tier) as cache, cache.load(ids) as load:
            if not is_stored or load.wait() != len(ids):
                raise UsageError(
                    f"a prefix of {len(ids)} tokens was not stored and found again with codec "
                    f"{codec}; check the disk"
                )
            yield load.sequence

    def _restored_logits(self, ids: list[int], k: Halves, v: Halves, codec: str) -> Floats:
        n = self._plan.prefix_tokens
        # The prefix's last token is computed again: what it predicts is scored, too.
        with self._restored(ids[: n - 1], k[: n - 1], v[: n - 1], codec) as sequence:
            return self._logits(ids[n - 1 : -1], sequence)

    def _worst_logits(self, ids: list[int], codec: str) -> Floats:
        with self._cache("none", None) as cache, cache.sequence() as sequence:
            coded = CodedSequence(sequence, codec, cache.layout)
            blocks = range(0, len(ids), _BLOCK_TOKENS)
            parts = [self._logits(ids[at : at + _BLOCK_TOKENS], coded) for at in blocks]
        return np.concatenate(parts)[self._plan.prefix_tokens - 1 : -1]

    def _continued(
        self, ids: list[int], k: Halves, v: Halves, codec: str
    ) -> tuple[list[int], float]:
        """Return the greedy continuation behind a restored prefix, and its tokens a second."""
        n, n_tokens = len(ids), self._plan.greedy_tokens
        if not n_tokens:
            return [], 0.0
        with self._restored(ids[: n - 1], k[: n - 1], v[: n - 1], codec) as sequence:
            self._fast.use_cache(BlockLayout(self._geometry))
            continued, next_id = [], ids[-1]
            start = perf_counter()
            for _ in range(n_tokens):
                next_id = int(self._fast.forward([next_id], sequence).argmax())
                continued.append(next_id)
            rate = n_tokens / (perf_counter() - start)
        if codec == "none":
            with self._cache("none", None) as cache, cache.sequence() as sequence:
                start = perf_counter()
                self._fast.forward(ids, sequence)
                self._prefill.append(n / (perf_counter() - start))
        return continued, rate


def _gathered(sequence: CachedSequence, n_tokens: int, layers: int) -> tuple[Halves, Halves]:
    """Return a sequence's first keys and values, float16[n_tokens, layers, heads, head_dim]."""
    parts = [sequence.gather(layer, 0, n_tokens) for layer in range(layers)]
    k, v = (np.stack([part[side] for part in parts], axis=1) for side in (0, 1))
    return k.astype(np.float16), v.astype(np.float16)


def _last_bits_moved(k: Halves, v: Halves) -> tuple[Halves, Halves]:
    rng = np.random.default_rng(0)
    moved = []
    for side in (k, v):
        bits = side.view(np.uint16) ^ rng.integers(0, 2, side.shape).astype(np.uint16)
        moved.append(np.ascontiguousarray(bits).view(np.float16))
    return moved[0], moved[1]


def _n_same(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two continuations share from their start."""
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        if a != b:
            return number
    return len(one)
