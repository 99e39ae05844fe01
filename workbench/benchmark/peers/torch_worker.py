"""Run transformers on torch for a peer: load, prefill, decode, and time each.

Follows: float32 throughout, one dynamic cache, logits of the last token only. Runs in the peers'
environment, where this project's packages are not installed.
Leaves out: saved states, other dtypes, and sampling other than greedy.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from workbench.benchmark.peers.serving import memory, serve

BATCH_TOKENS = 512


class Engine:
    """One model with one context of one sequence."""

    def __init__(self) -> None:
        self._model: Any = None
        self._cache = DynamicCache()
        self._logits: Any = None
        self._context_tokens = 0

    def load(
        self,
        model: str,
        context_tokens: int,
        threads: int,
        flash_attention: bool,
        kv_dtype: str,
    ) -> float:
        """Load a model, dequantised; return the seconds. Its KV is float32 whatever was asked."""
        self._model = None
        start = time.perf_counter()
        torch.set_num_threads(threads)
        place = Path(model)
        self._model = AutoModelForCausalLM.from_pretrained(
            place.parent, gguf_file=place.name, dtype=torch.float32
        ).eval()
        self._cache, self._logits, self._context_tokens = DynamicCache(), None, context_tokens
        return time.perf_counter() - start

    def prefill(self, ids: Sequence[int]) -> float:
        """Append tokens and return the seconds."""
        start = time.perf_counter()
        for at in range(0, len(ids), BATCH_TOKENS):
            self._append(ids[at : at + BATCH_TOKENS])
        self._best()
        return time.perf_counter() - start

    def decode(self, n_tokens: int, first_id: int | None) -> dict[str, object]:
        """Append the best token, again and again; return each one's seconds and what came after."""
        next_id = self._best() if first_id is None else first_id
        ids: list[int] = []
        seconds = []
        for _ in range(n_tokens):
            start = time.perf_counter()
            self._append([next_id])
            next_id = self._best()
            seconds.append(time.perf_counter() - start)
            ids.append(next_id)
        return {"ids": ids, "seconds": seconds}

    def logits(self) -> list[float]:
        """Return the logits after the last token."""
        found: list[float] = self._last_logits().tolist()
        return found

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first tokens."""
        n_forgotten = self._cache.get_seq_length() - n_tokens
        if n_tokens == 0:
            self._cache = DynamicCache()
        elif n_forgotten > 0:
            self._cache.crop(-n_forgotten)  # a negative number is how many to forget

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads."""
        torch.set_num_threads(threads)

    def _append(self, ids: Sequence[int]) -> None:
        if self._model is None:
            raise ValueError("no model is loaded")
        n_tokens = self._cache.get_seq_length() + len(ids)
        if n_tokens > self._context_tokens:
            raise ValueError(f"{n_tokens} tokens do not fit a context of {self._context_tokens}")
        with torch.inference_mode():
            answer = self._model(
                torch.tensor([list(ids)]),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._logits = answer.logits[0, -1]

    def _last_logits(self) -> Any:
        if self._logits is None:
            raise ValueError("there is nothing to go on from: prefill first, or name a first token")
        return self._logits

    def _best(self) -> int:
        return int(self._last_logits().argmax())


if __name__ == "__main__":
    engine = Engine()
    names = "load prefill decode logits truncate use_threads"
    serve({name: getattr(engine, name) for name in names.split()} | {"memory": memory})
