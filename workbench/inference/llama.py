"""Open a model's file and compute logits with it, over keys and values cached in whatever tier.

Follows: one class in front of two ways to compute, fast and exact, that share everything else.
Leaves out: text (tokenizer), choosing tokens (generate.py), what is kept for later (session.py).

    with LlamaModel.open(model_file("smollm2-135m")) as model:
        cache = TieredKVCache(CacheConfig(model.kv_geometry("float16"), hot_bytes))
        model.use_cache(cache.layout)
        logits = model.forward(token_ids, cache.sequence())      # float32[vocab_size]
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbench.errors import UsageError
from workbench.inference.architecture import llama_config
from workbench.inference.exact_forward import NO_BUDGET, ExactForward
from workbench.inference.fingerprint import model_fingerprint
from workbench.inference.forward import Floats, Forward, KVSequence
from workbench.inference.integer_forward import IntegerForward
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.weights import WeightsStats
from workbench.phases import Phase
from workbench.tiering.closing import Closing
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.mmap_gguf import ModelMap, open_model
from workbench.tiering.tiered_kv_cache import BlockLayout

# Activations of so many tokens stay in the third-level cache; twice as many gain 1 %.
BATCH_TOKENS = 256
MAX_THREADS = 64
_HEAD_STEP = 8  # the kernels' vectors
_PREFILL, _DECODE = Phase("prefill"), Phase("decode")


def available_threads() -> int:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LlamaModel(Closing):
    """An open model. For one thread at a time, which is helped by ``threads - 1`` others.

    Attributes
    ----------
    config : LlamaConfig
    fingerprint : bytes    tells models whose keys and values differ apart
    """

    def __init__(self, model: ModelMap, config: LlamaConfig, forward: Forward, name: str) -> None:
        """Use `open`."""
        self.config = config
        self.fingerprint = model_fingerprint(model, config, name)
        self._model, self._forward = model, forward
        self._layout: BlockLayout | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        threads: int | None = None,
        exact: bool = False,
        batch_tokens: int = BATCH_TOKENS,
        weights_budget_bytes: int | None = None,
    ) -> LlamaModel:
        """Open a GGUF file and bring its weights into memory.

        Parameters
        ----------
        path : Path
        threads : int or None   that compute; None: as many as this process may use
        exact : bool            compute in float32 throughout: slow, to hold others against
        batch_tokens : int      the most tokens that pass through the layers at once
        weights_budget_bytes : int or None   the most memory that packed weights take; layers that
                                find no room are read and packed anew for every pass, in the
                                background, with the same results. None: all are kept

        Raises
        ------
        GGUFError    if the file is damaged or its model is not computed here
        UsageError   if an argument is out of range, the budget is too small (names the least), or
                     the weights would not fit into memory
        StorageError   if layers are to be read for every pass and the file cannot be opened for it

        Cost    reading and packing the weights, about 2 GB/s a thread; exact: nothing.
        """
        threads = available_threads() if threads is None else threads
        _check_arguments(threads, batch_tokens)
        model = open_model(path)
        try:
            config = llama_config(model.header)
            _check_heads(config)
            forward: Forward
            if exact:
                if weights_budget_bytes is not None:
                    raise UsageError(NO_BUDGET.format(weights_budget_bytes))
                forward = ExactForward(model, config, batch_tokens)
            else:
                forward = IntegerForward(model, config, threads, batch_tokens, weights_budget_bytes)
            return cls(model, config, forward, "float32" if exact else "int8 activations")
        except BaseException:
            model.close()
            raise

    def kv_geometry(self, dtype: str = "float16") -> KVGeometry:
        """Return the shape of a token's keys and values, kept in a dtype."""
        config = self.config
        return KVGeometry(config.layers, config.kv_heads, config.head_dim, dtype)

    def use_cache(self, layout: BlockLayout) -> None:
        """Say how the sequences of the calls to come hold keys and values: `TieredKVCache.layout`.

        Raises
        ------
        UsageError   if it is not this model's geometry
        """
        if layout.geometry != self.kv_geometry(layout.geometry.dtype):
            raise UsageError(
                f"the cache is made for {layout.geometry}, this model needs "
                f"{self.kv_geometry(layout.geometry.dtype)}"
            )
        self._layout = layout
        self._forward.use_cache(layout)

    def forward(self, token_ids: Sequence[int], sequence: KVSequence) -> Floats:
        """Pass tokens through the model; return the last one's logits, float32[vocab_size].

        Parameters
        ----------
        token_ids : sequence of int   the next tokens, at least one
        sequence : KVSequence         what came before; their keys and values are added to it

        Raises
        ------
        UsageError       for no tokens, an id outside the vocabulary, or more than the context
        CacheFullError, BlockLostError   as the sequence raises them; of the tokens of this call
                                         whole batches may have been added before
        GGUFError, StorageError          if weights that pass cannot be read; the same of the tokens

        The result depends neither on the number of threads nor on how tokens are spread over calls
        (exact: but for rounding).
        """
        first = 0
        for batch in self._batches(token_ids, sequence):
            self._run(batch, sequence)
            first = len(batch) - 1
        last: Floats = self._forward.logits(first, 1)[0].copy()
        return last

    def prefill(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        """Pass tokens through the model for their keys and values alone; else as `forward`."""
        for batch in self._batches(token_ids, sequence):
            self._run(batch, sequence)

    def logits(self, token_ids: Sequence[int], sequence: KVSequence) -> Iterator[Floats]:
        """Pass tokens through the model; yield the logits of all of them, some rows at a time.

        As `forward`. Each yield is float32[n_rows, vocab_size], good until the next one.
        """
        step = self._forward.logit_rows
        for batch in self._batches(token_ids, sequence):
            self._run(batch, sequence)
            for first in range(0, len(batch), step):
                yield self._forward.logits(first, min(step, len(batch) - first))

    def n_batches(self, n_tokens: int) -> int:
        """Return how often so many tokens, passed at once, go through the layers."""
        return -(-n_tokens // self._forward.batch_tokens)

    @property
    def queries(self) -> Floats:
        """Return the queries that attend next, float32[at least n_tokens, query_heads, head_dim].

        They are turned by their positions. Good only while a sequence is asked for the runs of
        their layer: one that leaves blocks out chooses by them.
        """
        return self._forward.queries

    @property
    def weights(self) -> WeightsStats:
        """Return where the weights are, and what it cost that not all are in memory."""
        return self._forward.weights

    @property
    def weights_bytes(self) -> int:
        """Return the bytes that the weights take if all are in memory."""
        return self.weights.total_bytes

    @property
    def weights_budget_bytes(self) -> int:
        """Return the most bytes that the weights may take; `weights_bytes` if nothing was said."""
        return self.weights.budget_bytes

    @property
    def weights_wait_s(self) -> float:
        """Return the seconds that passes waited for weights since the model was opened."""
        return self.weights.waited_s

    @property
    def weights_read_bytes(self) -> int:
        """Return the bytes read for layers that passed since the model was opened."""
        return self.weights.read_bytes

    def set_weights_budget(self, n_bytes: int) -> None:
        """Keep more or fewer layers in memory from now on; between two calls of anything else.

        Raises
        ------
        UsageError                if the budget is too small (names the least) or more than the
                                  memory that is available, or the model was opened as exact;
                                  nothing changes then
        GGUFError, StorageError   if layers cannot be read; the next pass tries again

        Cost    reading and packing what is to stay and did not, and nothing for the rest.
        """
        self._forward.set_weights_budget(n_bytes)

    def close(self) -> None:
        """Let go of the weights and the file; twice is harmless."""
        self._forward.close()
        self._model.close()

    def _batches(self, token_ids: Sequence[int], sequence: KVSequence) -> Iterator[Sequence[int]]:
        self._check_tokens(token_ids, sequence)
        for start in range(0, len(token_ids), self._forward.batch_tokens):
            yield token_ids[start : start + self._forward.batch_tokens]

    def _run(self, batch: Sequence[int], sequence: KVSequence) -> None:
        n_before = sequence.n_tokens
        try:
            with _DECODE if len(batch) == 1 else _PREFILL:
                self._forward.run(batch, sequence)
        except BaseException:
            # Some layers may have been stored: none of these tokens may count.
            sequence.truncate(min(n_before, sequence.n_tokens))
            raise

    def _check_tokens(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        problems = []
        if self._layout is None:
            problems.append("the model was not told of the cache; call use_cache(cache.layout)")
        if not len(token_ids):
            problems.append("no tokens were given; a forward pass needs at least one")
        n_tokens = sequence.n_tokens + len(token_ids)
        if n_tokens > self.config.context_tokens:
            problems.append(
                f"{n_tokens} tokens are more than the model's context of "
                f"{self.config.context_tokens}; shorten the text"
            )
        wrong = [one for one in token_ids if not 0 <= one < self.config.vocab_size]
        if wrong:
            problems.append(
                f"token id {wrong[0]} is outside the vocabulary of {self.config.vocab_size} tokens"
            )
        if problems:
            raise UsageError(problems)


def _check_arguments(threads: int, batch_tokens: int) -> None:
    problems = []
    if not 1 <= threads <= MAX_THREADS:
        problems.append(f"threads={threads} must be 1 to {MAX_THREADS}")
    if not 1 <= batch_tokens <= 4096:
        problems.append(f"batch_tokens={batch_tokens} must be 1 to 4,096")
    if problems:
        raise UsageError(problems)


def _check_heads(config: LlamaConfig) -> None:
    if config.head_dim % _HEAD_STEP:
        raise UsageError(
            f"heads of {config.head_dim} values are not computed here, multiples of "
            f"{_HEAD_STEP} are; use another model"
        )
