"""Read a model's vocabulary from its GGUF header: tokens, their kinds, merges, special ids.

Follows: llama.cpp's key names and its defaults for keys that are missing (read 2026-11).
Leaves out: how text becomes tokens (byte_pairs.py, sentencepiece.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError
from workbench.tiering.mmap_gguf.arrays import read_numbers, read_strings
from workbench.tiering.mmap_gguf.header import GGUFHeader

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

_PREFIX = "tokenizer.ggml."
_MODELS = ("gpt2", "llama")
# The ids that are used; files name others too, not always ones that exist.
_SPECIAL = ("bos", "eos", "eot", "eom", "unknown", "fim_pad", "fim_rep", "fim_sep")
# What llama.cpp assumes where a file names none; only SentencePiece files may leave them out.
_LLAMA_IDS = {"bos": 1, "eos": 2, "unknown": 0}


@dataclass(frozen=True)
class Vocabulary:
    """What a file says about its tokens.

    Attributes
    ----------
    model : str                 "gpt2" (byte-level pairs) or "llama" (SentencePiece)
    pre : str                   name of the pre-tokenizer; "" for SentencePiece
    tokens : list of str        by id; all different
    kinds : int32[n_tokens]     NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED or BYTE
    scores : float32[n_tokens]  SentencePiece: the higher, the earlier a merge
    merges : list of str        byte-level pairs: "left right", the earliest first
    special_ids : mapping       "bos", "eos", "eot", "unknown", ... -> id, those that the file names
    flags : mapping             "add_bos_token", "add_eos_token", "add_space_prefix" where stated
    """

    model: str
    pre: str
    tokens: list[str]
    kinds: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    merges: list[str]
    special_ids: Mapping[str, int]
    flags: Mapping[str, bool]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Return the ids by token."""
        return {token: token_id for token_id, token in enumerate(self.tokens)}


def read_vocabulary(header: GGUFHeader) -> Vocabulary:
    """Read the vocabulary of a GGUF file.

    Raises
    ------
    UsageError   if the kind of tokenizer is not supported
    GGUFError    if a key is missing, mistyped or inconsistent

    Cost    50 ms for 49,152 tokens and as many merges.
    """
    model = header.string(f"{_PREFIX}model")
    if model not in _MODELS:
        raise UsageError(f"tokenizer {model!r} is not supported; supported: {', '.join(_MODELS)}")
    tokens = _tokens(header)
    byte_level = model == "gpt2"
    return Vocabulary(
        model,
        header.string(f"{_PREFIX}pre") if byte_level else "",
        tokens,
        _kinds(header, len(tokens)),
        np.zeros(0, np.float32) if byte_level else _scores(header, len(tokens)),
        read_strings(header, f"{_PREFIX}merges") if byte_level else [],
        _special_ids(header, len(tokens), {} if byte_level else _LLAMA_IDS),
        _flags(header),
    )


def _tokens(header: GGUFHeader) -> list[str]:
    key = f"{_PREFIX}tokens"
    tokens = read_strings(header, key)
    tokens = [token or f"[EMPTY_{token_id}]" for token_id, token in enumerate(tokens)]
    if not tokens:
        raise header.refuse(f"{key} is empty", header.fields[key].offset)
    if len(set(tokens)) < len(tokens):
        raise header.refuse(_twice(key, tokens), header.fields[key].offset)
    return tokens


def _twice(key: str, tokens: list[str]) -> str:
    seen: dict[str, int] = {}
    for token_id, token in enumerate(tokens):
        if (first := seen.setdefault(token, token_id)) != token_id:
            return f"{key}: tokens {first} and {token_id} are both {token[:80]!r}"
    raise AssertionError("no token stands twice")


def _kinds(header: GGUFHeader, n_tokens: int) -> npt.NDArray[np.int32]:
    key = f"{_PREFIX}token_type"
    if key not in header.fields:
        return np.full(n_tokens, NORMAL, np.int32)
    return _as_many(header, key, n_tokens, read_numbers(header, key, "i32")).astype(np.int32)


def _scores(header: GGUFHeader, n_tokens: int) -> npt.NDArray[np.float32]:
    key = f"{_PREFIX}scores"
    scores = _as_many(header, key, n_tokens, read_numbers(header, key, "f32")).astype(np.float32)
    if np.isnan(scores).any():
        raise header.refuse(f"{key} holds a NaN", header.fields[key].offset)
    return scores


def _as_many(
    header: GGUFHeader, key: str, n_tokens: int, numbers: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    if len(numbers) != n_tokens:
        raise header.refuse(
            f"{key} has {len(numbers)} elements for {n_tokens} tokens", header.fields[key].offset
        )
    return numbers


def _special_ids(header: GGUFHeader, n_tokens: int, defaults: Mapping[str, int]) -> dict[str, int]:
    ids = {name: token_id for name, token_id in defaults.items() if token_id < n_tokens}
    for name in _SPECIAL:
        if (key := f"{_PREFIX}{name}_token_id") in header.fields:
            ids[name] = header.integer(key, 0, n_tokens - 1)
    return ids


def _flags(header: GGUFHeader) -> dict[str, bool]:
    names = ("add_bos_token", "add_eos_token", "add_space_prefix")
    return {
        name: bool(header.field(f"{_PREFIX}{name}", "bool").value)
        for name in names
        if f"{_PREFIX}{name}" in header.fields
    }
