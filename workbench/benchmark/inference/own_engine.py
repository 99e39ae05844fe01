"""Drive our own inference with the calls that peers have, so that rounds can alternate.

Follows: benchmark/peers/peer.py, call for call; everything stays hot unless a folder is given.
Leaves out: text and sampling (workbench/inference), which peers are not asked for either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.peers.peer import PeerSettings
from workbench.inference.architecture import llama_config
from workbench.inference.llama import LlamaModel
from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.unified_tier import UnifiedTier, UnifiedTierConfig

OURS = "workbench"
# Appended first where no logits say what comes next; any token of any vocabulary would do.
FIRST_ID = 1


class OwnEngine(Closing):
    """One model with one growing text."""

    def __init__(
        self, settings: PeerSettings, *, exact: bool = False, folder: Path | None = None
    ) -> None:
        """Load the model.

        Parameters
        ----------
        settings : PeerSettings   ``flash_attention`` says nothing here
        exact : bool              the plain float32 pass
        folder : Path             of the SSD tier; None: memory only

        Raises
        ------
        GGUFError, UsageError, StorageError   as the model and the cache raise them
        """
        self._settings, self._exact, self._folder = settings, exact, folder
        self._opened = contextlib.ExitStack()
        self.load_seconds()

    def load_seconds(self) -> float:
        """Load the model anew and return the seconds."""
        self._opened.close()
        self._opened = contextlib.ExitStack()
        start = perf_counter()
        settings = self._settings
        self.model = self._opened.enter_context(
            LlamaModel.open(settings.model, threads=settings.threads, exact=self._exact)
        )
        config = UnifiedTierConfig(
            dtype=settings.kv_dtype, hot_tokens=settings.context_tokens, ssd_folder=self._folder
        )
        tiers = self._opened.enter_context(UnifiedTier(config))
        tiers.serve(self.model)
        self.cache = tiers.cache
        self.sequence = self.cache.sequence()
        self._opened.callback(lambda: self.sequence.close())
        return perf_counter() - start

    def prefill_seconds(self, ids: Sequence[int]) -> float:
        """Append tokens and return the seconds to the last one's logits."""
        start = perf_counter()
        self._next_id = int(self.model.forward(ids, self.sequence).argmax())
        return perf_counter() - start

    def decode(self, n_tokens: int, first_id: int | None = None) -> NDArray[np.float64]:
        """Append the best token again and again; return each one's seconds, float64[n_tokens]."""
        next_id = self._next_id if first_id is None else first_id
        seconds = np.empty(n_tokens)
        for number in range(n_tokens):
            start = perf_counter()
            next_id = int(self.model.forward([next_id], self.sequence).argmax())
            seconds[number] = perf_counter() - start
        self._next_id = next_id
        return seconds

    def decode_seconds(self, n_tokens: int, first_id: int | None = None) -> float:
        """Append tokens as `decode` does and return the seconds of them all."""
        return float(self.decode(n_tokens, first_id).sum())

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first tokens."""
        self.sequence.truncate(n_tokens)

    def reset(self) -> None:
        """Forget the text, and that it was ever computed."""
        self.sequence.close()
        self.sequence = self.cache.sequence()

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on; the weights are packed anew."""
        if threads == self._settings.threads:
            return
        settings = self._settings
        self._settings = PeerSettings(settings.model, settings.context_tokens, threads)
        self.model.close()
        self.model = LlamaModel.open(settings.model, threads=threads, exact=self._exact)
        self._opened.callback(self.model.close)
        self.model.use_cache(self.cache.layout)

    def close(self) -> None:
        """Give everything back; twice is harmless."""
        self._opened.close()


def random_ids(model: Path, n_tokens: int, seed: int) -> list[int]:
    """Return ids of a model's vocabulary drawn at random: two seeds share no beginning of a text.

    Raises
    ------
    GGUFError   if it is no model that is computed here
    """
    vocabulary = llama_config(read_header(model)).vocab_size
    ids: list[int] = np.random.default_rng(seed).integers(0, vocabulary, n_tokens).tolist()
    return ids
