"""Run llama.cpp for a peer: load, prefill, decode, save and load a state, and time each.

Follows: llama.cpp's low-level C interface by its Python binding; batches of 512, logits of the last
token only. Runs in the peers' environment, where this project's packages are not installed.
Leaves out: several sequences, and sampling other than greedy.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Sequence
from typing import Any

import llama_cpp as lib
import numpy as np
import numpy.typing as npt

from workbench.benchmark.peers.serving import memory, serve

BATCH_TOKENS = 512
KV_TYPES = {"float32": 0, "float16": 1, "q4_0": 2, "q8_0": 8}


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log_errors(level: int, text: bytes, _: object) -> None:
    if level >= 4:  # GGML_LOG_LEVEL_ERROR
        os.write(2, text)


class Engine:
    """One model with one context of one sequence."""

    def __init__(self) -> None:
        self._model: Any = None
        self._context: Any = None
        self._vocabulary: Any = None
        self._ids: list[int] = []
        self._next_id: int | None = None
        lib.llama_log_set(_log_errors, ctypes.c_void_p(0))
        lib.llama_backend_init()

    def load(
        self,
        model: str,
        context_tokens: int,
        threads: int,
        flash_attention: bool,
        kv_dtype: str,
    ) -> float:
        """Load a model and make a context; return the seconds of both."""
        self._free()
        start = time.perf_counter()
        self._model = lib.llama_model_load_from_file(
            os.fsencode(model), lib.llama_model_default_params()
        )
        if self._model is None:
            raise ValueError("llama.cpp could not load the model")
        wanted = lib.llama_context_default_params()
        wanted.n_ctx = context_tokens
        wanted.n_batch = wanted.n_ubatch = BATCH_TOKENS
        wanted.n_threads = wanted.n_threads_batch = threads
        wanted.flash_attn_type = int(flash_attention)
        wanted.type_k = wanted.type_v = KV_TYPES[kv_dtype]
        self._context = lib.llama_init_from_model(self._model, wanted)
        if self._context is None:
            raise ValueError("llama.cpp could not make the context")
        taken = time.perf_counter() - start
        self._vocabulary = lib.llama_model_get_vocab(self._model)
        return taken

    def prefill(self, ids: Sequence[int]) -> float:
        """Append tokens and return the seconds."""
        start = time.perf_counter()
        for at in range(0, len(ids), BATCH_TOKENS):
            self._append(ids[at : at + BATCH_TOKENS])
        self._next_id = self._best()
        return time.perf_counter() - start

    def decode(self, n_tokens: int, first_id: int | None) -> dict[str, object]:
        """Append the best token, again and again; return each one's seconds and what came after."""
        next_id = self._next_id if first_id is None else first_id
        if next_id is None:
            raise ValueError("there is nothing to go on from: prefill first, or name a first token")
        ids: list[int] = []
        seconds = []
        for _ in range(n_tokens):
            start = time.perf_counter()
            self._append([next_id])
            next_id = self._best()
            seconds.append(time.perf_counter() - start)
            ids.append(next_id)
        self._next_id = next_id
        return {"ids": ids, "seconds": seconds}

    def logits(self) -> list[float]:
        """Return the logits after the last token."""
        found: list[float] = self._logits().tolist()
        return found

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first tokens."""
        lib.llama_memory_seq_rm(lib.llama_get_memory(self._context), 0, n_tokens, -1)
        del self._ids[n_tokens:]

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads."""
        lib.llama_set_n_threads(self._context, threads, threads)

    def save_state(self, path: str, sync: bool) -> float:
        """Write the sequence's state; return the seconds."""
        ids = (lib.llama_token * len(self._ids))(*self._ids)
        start = time.perf_counter()
        n_bytes = lib.llama_state_seq_save_file(
            self._context, os.fsencode(path), 0, ids, len(self._ids)
        )
        if n_bytes == 0:
            raise ValueError("llama.cpp could not save the state")
        if sync:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        return time.perf_counter() - start

    def load_state(self, path: str) -> float:
        """Put a saved state in the sequence's place; return the seconds."""
        room = (lib.llama_token * lib.llama_n_ctx(self._context))()
        n_ids = ctypes.c_size_t()
        self.truncate(0)
        self._next_id = None
        start = time.perf_counter()
        n_bytes = lib.llama_state_seq_load_file(
            self._context, os.fsencode(path), 0, room, len(room), ctypes.byref(n_ids)
        )
        if n_bytes == 0:
            raise ValueError("llama.cpp could not load the state")
        self._ids = list(room[: n_ids.value])
        return time.perf_counter() - start

    def tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        """Return a text's ids."""
        raw = text.encode()
        room = (lib.llama_token * (len(raw) + 16))()
        n_ids = lib.llama_tokenize(
            self._vocabulary, raw, len(raw), room, len(room), add_special, parse_special
        )
        return list(room[:n_ids])

    def _append(self, ids: Sequence[int]) -> None:
        if self._context is None:
            raise ValueError("no model is loaded")
        # llama.cpp ends the process over a batch that is longer than the whole context.
        n_tokens, room = len(self._ids) + len(ids), lib.llama_n_ctx(self._context)
        if n_tokens > room:
            raise ValueError(f"{n_tokens} tokens do not fit a context of {room}")
        tokens = (lib.llama_token * len(ids))(*ids)  # a batch points to them and keeps none
        status = lib.llama_decode(self._context, lib.llama_batch_get_one(tokens, len(ids)))
        if status:
            raise ValueError(f"llama_decode answered {status} after {len(self._ids)} tokens")
        lib.llama_synchronize(self._context)
        self._ids.extend(ids)

    def _logits(self) -> npt.NDArray[np.float32]:
        pointer = lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (lib.llama_vocab_n_tokens(self._vocabulary),))

    def _best(self) -> int:
        return int(self._logits().argmax())

    def _free(self) -> None:
        if self._context is not None:
            lib.llama_free(self._context)
        if self._model is not None:
            lib.llama_model_free(self._model)
        self._model = self._context = None
        self._ids, self._next_id = [], None


if __name__ == "__main__":
    engine = Engine()
    names = "load prefill decode logits truncate use_threads save_state load_state tokenize"
    serve({name: getattr(engine, name) for name in names.split()} | {"memory": memory})
