"""Take stretches of real text as tokens, and compute their keys and values once.

Follows: the English text that CPython carries, so that any machine measures on the same kind.
Leaves out: other texts, whose effects are logged (docs/log.md), and what is done with the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.text import embedded_text
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.tokenizer import read_tokenizer
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

Floats = NDArray[np.float32]
# Characters a token of English, and more, so that a stretch always has enough of them.
_CHARACTERS_PER_TOKEN = 8
STRETCHES = 12


@dataclass(frozen=True, slots=True, eq=False)
class KeysValues:
    """A text and its keys and values in every layer.

    Attributes
    ----------
    token_ids : list of int                                 the context's
    k, v : float32[layers, n_tokens, kv_heads, head_dim]    as float16 keeps them
    """

    token_ids: list[int]
    k: Floats
    v: Floats


def stretch_text(stretch: int) -> str:
    """Return one of twelve stretches of the text, which do not overlap.

    Raises
    ------
    UsageError   if there is no such stretch
    """
    text = embedded_text()
    step = len(text) // STRETCHES
    if not 0 <= stretch < STRETCHES:
        raise UsageError(f"stretch={stretch} of the text must be 0..{STRETCHES - 1}")
    return text[stretch * step : (stretch + 1) * step]


def token_ids(model: Path, n_tokens: int, stretch: int = 0) -> list[int]:
    """Return the first tokens of one of the stretches of the text.

    Raises
    ------
    UsageError   if there is no such stretch, or it has not that many tokens
    """
    text = stretch_text(stretch)[: _CHARACTERS_PER_TOKEN * n_tokens]
    found = read_tokenizer(read_header(model)).encode(text)
    if len(found) < n_tokens:
        raise UsageError(
            f"stretch {stretch} of the text has {len(found):,} tokens, {n_tokens:,} are wanted; "
            "shorten the context"
        )
    return found[:n_tokens]


def compute(model: LlamaModel, ids: list[int], block_tokens: int = 64) -> KeysValues:
    """Pass a text through the model and return its keys and values.

    Cost    one prefill: at 4,096 tokens of the 135M model half a minute.
    """
    geometry = model.kv_geometry("float16")
    layout = CacheConfig(geometry, 1, block_tokens=block_tokens).layout
    n_blocks = -(-len(ids) // block_tokens) + 1
    settings = CacheConfig(geometry, n_blocks * layout.block_bytes, block_tokens=block_tokens)
    with TieredKVCache(settings) as cache, cache.sequence() as sequence:
        model.use_cache(cache.layout)
        model.forward(ids, sequence)
        sides = [sequence.gather(layer, 0, len(ids)) for layer in range(geometry.layers)]
    return KeysValues(ids, np.stack([k for k, _ in sides]), np.stack([v for _, v in sides]))


def hot_cache(model: LlamaModel, text: KeysValues, block_tokens: int, spare: int) -> TieredKVCache:
    """Return a cache in memory only, with room for a text and some tokens more."""
    geometry = model.kv_geometry("float16")
    layout = CacheConfig(geometry, 1, block_tokens=block_tokens).layout
    n_blocks = -(-(len(text.token_ids) + spare) // block_tokens) + 2
    cache = TieredKVCache(
        CacheConfig(geometry, n_blocks * layout.block_bytes, block_tokens=block_tokens)
    )
    model.use_cache(cache.layout)
    return cache


def token_major(text: KeysValues) -> tuple[Floats, Floats]:
    """Return keys and values as `CachedSequence.append` takes them, float32[n, layers, ...]."""
    k, v = (np.ascontiguousarray(side.swapaxes(0, 1)) for side in (text.k, text.v))
    return k, v
