"""Pass tokens through a model with integer products: packed weights times int8 activations.

Follows: llama.cpp's arithmetic (activations quantised by 32), with results that depend neither on
the batch nor on the number of threads.
Leaves out: exact float32 (exact_forward.py), and choosing tokens (generate.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from kernels import attention, block_store, matrix, team
from kernels.llama_plan import blank_layers, blank_plan
from kernels.llama_team import (
    ATTEND,
    COMPLETE,
    LOGITS,
    PASS,
    PROJECT,
    STOP,
    set_run,
    take_part,
)
from workbench.inference.compiler_pages import release_compiler_pages
from workbench.inference.embedding import Embedding
from workbench.inference.forward import Floats, KVSequence
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.rope_angles import RopeAngles
from workbench.inference.rope_factors import rope_factors
from workbench.inference.tensor_names import EMBEDDING
from workbench.inference.thread_team import ThreadTeam
from workbench.inference.weights import LlamaWeights, WeightsStats, blank_jobs
from workbench.inference.workspace import LOGIT_ROWS, Workspace
from workbench.tiering.mmap_gguf import ModelMap
from workbench.tiering.tiered_kv_cache import BlockLayout, LayerRun


class IntegerForward:
    """The fast pass of one model; for one thread at a time, which may have helpers."""

    logit_rows = LOGIT_ROWS

    def __init__(
        self,
        model: ModelMap,
        config: LlamaConfig,
        threads: int,
        batch_tokens: int,
        weights_budget_bytes: int | None = None,
    ) -> None:
        """Pack the weights and start the team; see `LlamaWeights` for errors and cost."""
        self.batch_tokens = batch_tokens
        self._layout: BlockLayout | None = None
        self._n_layers = config.layers
        self._embedding = Embedding(model, EMBEDDING)
        self._angles = RopeAngles(config.rope, rope_factors(model, config.rope))
        self._fetch_kernels()
        self._weights = LlamaWeights(model, config, threads, weights_budget_bytes)
        self._workspace = Workspace(config, self._weights, batch_tokens, threads)
        self.team = ThreadTeam(self._workspace.plan, self._weights.layers, self._weights.jobs)

    def _fetch_kernels(self) -> None:
        """Have a pass's kernels compiled now: loading weights gives back what only that needs."""
        plan, layers, counters = blank_plan(), blank_layers(1), team.lines(1)
        plan[0].n_threads, plan[0].counters = 1, team.first_line(counters)
        take_part(plan, layers, blank_jobs(), 0, STOP, 0)
        memory, slots = np.zeros((1, 1), np.uint8), np.zeros(1, np.int64)
        set_run(plan, memory, slots, (0, 0, 0, 0), 0, (0, 0))
        self._embedding.look_up([0], np.empty((1, self._embedding.width), np.float32))
        for entry in (matrix.PRODUCT, attention.ATTEND):
            entry.address  # noqa: B018 - compiled when it is asked for

    def run(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        """Pass tokens through all layers; as `Forward.run`."""
        space, position, n_tokens = self._workspace, sequence.n_tokens, len(token_ids)
        self._embedding.look_up(token_ids, space.hidden)
        sequence.extend(token_ids)
        space.set_batch(position, self._angles.at(position, n_tokens))
        keys, values = space.keys[:n_tokens], space.values[:n_tokens]
        self._weights.begin()
        with self.team.working():
            self._order(PROJECT, 0)
            sequence.store(0, keys, values)
            runs = sequence.runs(0)
            run = next(runs)
            if self._holds_all(run, position + n_tokens):
                try:
                    self._pass_hot(run, sequence, keys, values)
                finally:
                    next(runs, None)  # ends the walk, which kept the blocks in their places
            else:
                self._pass_cold(run, runs, sequence, keys, values)

    def _order(self, step: int, layer: int) -> None:
        """Let the team take a step once the weights are there that it multiplies with."""
        # All but the first step also project the next layer.
        stop = min(layer + (1 if step == PROJECT else 2), self._n_layers)
        if not self._weights.are_here(stop):
            self._weights.bring(stop, self.team)
        self.team.order(step, layer)

    def _holds_all(self, run: LayerRun, n_tokens: int) -> bool:
        """Tell whether a run of the first layer holds whole blocks of all tokens."""
        assert self._layout is not None
        is_block = run.memory.shape[1] == self._layout.block_bytes
        return is_block and run.n_tokens == n_tokens and run.dtype == self._layout.tile_dtype

    def _set_run(self, run: LayerRun, position: int) -> None:
        """Say which run is attended to next, and where its first token stands."""
        places, span = tuple(run.places), (position, run.n_tokens)
        set_run(self._workspace.plan, run.memory, run.slots, places, run.dtype, span)

    def _pass_hot(self, run: LayerRun, sequence: KVSequence, keys: Floats, values: Floats) -> None:
        """Pass all layers over the blocks of one run, which hold every layer."""
        self._set_run(run, 0)
        for layer in range(self._n_layers):
            if layer > 0:
                sequence.store(layer, keys, values)
            self._order(PASS, layer)

    def _pass_cold(
        self,
        run: LayerRun,
        runs: Iterator[LayerRun],
        sequence: KVSequence,
        keys: Floats,
        values: Floats,
    ) -> None:
        """Pass all layers, run by run in each; the first run of the first layer is here already."""
        for layer in range(self._n_layers):
            if layer > 0:
                sequence.store(layer, keys, values)
                runs = sequence.runs(layer)
                run = next(runs)
            at = 0
            for one in itertools.chain([run], runs):
                self._set_run(one, at)
                self.team.order(ATTEND, layer)
                at += one.n_tokens
            self._order(COMPLETE, layer)

    @property
    def queries(self) -> Floats:
        """Return the queries of the layer that is being attended to; as `Forward.queries`."""
        return self._workspace.queries

    def logits(self, first: int, n_rows: int) -> Floats:
        """Return logits of the last batch; as `Forward.logits`."""
        rows = self._workspace.set_logit_rows(first, n_rows)
        with self.team.working():
            self.team.order(LOGITS, 0)
        return rows

    def use_cache(self, layout: BlockLayout) -> None:
        """Say how the sequences to come hold keys and values."""
        if layout != self._layout:
            self._layout = layout
            self._workspace.set_cache(layout)
            for number, layer in enumerate(self._weights.layers):
                layer.k, layer.v, layer.k_scales, layer.v_scales = layout.places(number)
            self._fetch_store(layout)

    def _fetch_store(self, layout: BlockLayout) -> None:
        """Have the storing of keys and values compiled, and give back what only that needs."""
        store = block_store.choose(np.float32, layout.geometry.dtype, past_cache=False)
        block = np.empty((1, layout.block_bytes), np.uint8)
        at = np.zeros(1, np.int64)
        places = np.array([layout.places(0)], np.int64)
        space = self._workspace
        store(block, at, at, places, space.keys[:1, None], space.values[:1, None])
        release_compiler_pages()

    @property
    def weights(self) -> WeightsStats:
        """Return where the weights are; as `Forward.weights`."""
        return self._weights.stats

    def set_weights_budget(self, n_bytes: int) -> None:
        """Keep more or fewer layers in memory; see `LlamaWeights.set_budget`."""
        self._weights.set_budget(n_bytes)

    def close(self) -> None:
        """End the team and stop reading; twice is harmless."""
        self.team.close()
        self._weights.close()
