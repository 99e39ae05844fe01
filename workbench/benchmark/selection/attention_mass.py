"""Measure where attention goes on real text: by layer, by head and by how old a token is.

Follows: the softmax of every query and all keys before it, in float32, over the model's own values.
Leaves out: what passing over a layer's old blocks does to the model's answers (layer_needs.py):
mass and effect are not the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.selection.real_text import KeysValues, hot_cache, token_major
from workbench.inference.forward import Floats
from workbench.inference.llama import LlamaModel
from workbench.tiering.tiered_kv_cache import CachedSequence, LayerRun

METRIC = "attention_mass"
SINK = "sinks (first 16)"
SINK_TOKENS, RECENT_TOKENS = 16, 256
_EDGES = (16, 64, 256, 1024)
_BLOCK_TOKENS = 64


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMass:
    """What `measure` found.

    Attributes
    ----------
    ages : tuple of str                          the sinks, then ages in tokens, youngest first
    mass : float64[layers, query_heads, ages]    mean over queries; each layer and head sums to 1
    n_queries, context_tokens : int
    """

    ages: tuple[str, ...]
    mass: NDArray[np.float64]
    n_queries: int
    context_tokens: int

    @property
    def far(self) -> NDArray[np.float64]:
        """Return each layer's share beyond sinks and recent tokens, float64[layers]."""
        n_recent = sum(edge <= RECENT_TOKENS for edge in _EDGES)
        result: NDArray[np.float64] = self.mass[:, :, 1 + n_recent :].sum(axis=2).mean(axis=1)
        return result

    @property
    def metrics(self) -> pl.DataFrame:
        """Return metric rows: a fraction for every layer and age, the mean over heads."""
        return pl.concat(
            metrics.rows(METRIC, "ratio", [value], case=f"layer={layer}", variant=age)
            for layer, ages in enumerate(self.mass.mean(axis=1))
            for age, value in zip(self.ages, ages, strict=True)
        )

    @property
    def table(self) -> pl.DataFrame:
        """Return a row a layer: percent by age, and the most and least far-looking head."""
        far = self.mass[:, :, -2:].sum(axis=2)
        rows = []
        for layer, heads in enumerate(self.mass):
            row: dict[str, object] = {"layer": layer}
            row |= {
                age: f"{100 * value:.1f} %"
                for age, value in zip(self.ages, heads.mean(axis=0), strict=True)
            }
            row |= {
                "farthest head": f"{100 * far[layer].max():.1f} %",
                "nearest head": f"{100 * far[layer].min():.1f} %",
            }
            rows.append(row)
        return pl.DataFrame(rows)


class _Watched:
    """A sequence that notes where its queries look while the model runs over it."""

    def __init__(
        self, sequence: CachedSequence, model: LlamaModel, keys: Floats, bins: Floats
    ) -> None:
        self._sequence, self._model, self._keys = sequence, model, keys
        self._bins = bins
        self.mass = np.zeros((len(keys), model.config.heads, bins.shape[1]), np.float64)

    @property
    def n_tokens(self) -> int:
        return self._sequence.n_tokens

    def extend(self, token_ids: Sequence[int]) -> None:
        self._sequence.extend(token_ids)

    def store(self, layer: int, k: Floats, v: Floats) -> None:
        self._keys[layer, self.n_tokens] = k[0]
        self._sequence.store(layer, k, v)

    def truncate(self, n_tokens: int) -> None:
        self._sequence.truncate(n_tokens)

    def runs(self, layer: int) -> Iterator[LayerRun]:
        n_tokens = self.n_tokens + 1
        keys = self._keys[layer, :n_tokens]
        weights = _weights(self._model.queries[0], keys)
        # Rows of `bins` count backwards from the newest token; the sinks have their own column.
        ages = self._bins[:n_tokens][::-1].copy()
        ages[:SINK_TOKENS] = 0
        ages[:SINK_TOKENS, 0] = 1
        self.mass[layer] += weights @ ages
        # Two runs: one that held everything would stand for all layers.
        for run in self._sequence.runs(layer):
            yield run._replace(slots=run.slots[:1], n_tokens=_BLOCK_TOKENS)
            yield run._replace(slots=run.slots[1:], n_tokens=run.n_tokens - _BLOCK_TOKENS)


def measure(model: LlamaModel, text: KeysValues, following: Sequence[int]) -> AttentionMass:
    """Pass tokens behind a text one by one and add up what each of their heads attends to.

    Parameters
    ----------
    text : KeysValues      more than 64 tokens
    following : sequence   the tokens behind it

    Cost    about twice a decoded token each.
    """
    n_context, n_all = len(text.token_ids), len(text.token_ids) + len(following)
    edges = [edge for edge in _EDGES if edge < n_all]
    bins = np.zeros((n_all, len(edges) + 2), np.float32)
    bins[np.arange(n_all), 1 + np.searchsorted(edges, np.arange(n_all), side="right")] = 1
    keys = np.zeros((text.k.shape[0], n_all, *text.k.shape[2:]), np.float32)
    keys[:, :n_context] = text.k
    with (
        hot_cache(model, text, _BLOCK_TOKENS, len(following)) as cache,
        cache.sequence() as sequence,
    ):
        sequence.append(text.token_ids, *token_major(text))
        watched = _Watched(sequence, model, keys, bins)
        for one in following:
            model.forward([one], watched)
    names = [
        f"{low:,} to {high:,}"
        for low, high in zip([0, *edges], [*(edge - 1 for edge in edges), n_all], strict=True)
    ]
    mass = watched.mass / len(following)
    return AttentionMass((SINK, *names), mass, len(following), n_context)


def _weights(queries: Floats, keys: Floats) -> Floats:
    """Return each head's attention, float32[query_heads, n_tokens]."""
    heads, dim = queries.shape
    grouped = queries.reshape(keys.shape[1], -1, dim) / np.float32(np.sqrt(dim))
    scores = (grouped @ keys.transpose(1, 2, 0)).reshape(heads, -1)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result
