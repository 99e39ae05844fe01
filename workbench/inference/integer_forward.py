"""Pass tokens through a model with integer products: packed weights times int8 activations.

Follows: llama.cpp's arithmetic (activations quantised by 32), with results that depend neither on
the batch nor on the number of threads.
Leaves out: exact float32 (exact_forward.py), and choosing tokens (generate.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.llama_team import ATTEND, COMPLETE, LOGITS, PROJECT, set_run
from workbench.inference.embedding import Embedding
from workbench.inference.forward import Floats, KVSequence
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.rope_angles import RopeAngles
from workbench.inference.rope_factors import rope_factors
from workbench.inference.tensor_names import EMBEDDING
from workbench.inference.thread_team import ThreadTeam
from workbench.inference.weights import load_weights
from workbench.inference.workspace import LOGIT_ROWS, Workspace
from workbench.tiering.mmap_gguf import ModelMap
from workbench.tiering.tiered_kv_cache import BlockLayout


class IntegerForward:
    """The fast pass of one model; for one thread at a time, which may have helpers."""

    logit_rows = LOGIT_ROWS

    def __init__(
        self, model: ModelMap, config: LlamaConfig, threads: int, batch_tokens: int
    ) -> None:
        """Pack the weights and start the team; see `load_weights` for errors and cost."""
        self.batch_tokens = batch_tokens
        self._n_layers = config.layers
        self._embedding = Embedding(model.tensor(EMBEDDING))
        self._angles = RopeAngles(config.rope, rope_factors(model, config.rope))
        self._weights = load_weights(model, config, threads)
        self._workspace = Workspace(config, self._weights, batch_tokens, threads)
        self.team = ThreadTeam(self._workspace.plan, self._weights.layers)

    def run(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        """Pass tokens through all layers; as `Forward.run`."""
        space, position, n_tokens = self._workspace, sequence.n_tokens, len(token_ids)
        self._embedding.look_up(token_ids, space.hidden)
        sequence.extend(token_ids)
        space.set_batch(position, self._angles.at(position, n_tokens))
        order, plan = self.team.order, space.plan
        keys, values = space.keys[:n_tokens], space.values[:n_tokens]
        with self.team.working():
            order(PROJECT, 0)
            for layer in range(self._n_layers):
                sequence.store(layer, keys, values)
                at = 0
                for memory, slots, places, n_run in sequence.runs(layer):
                    set_run(plan, memory, slots, tuple(places), (at, n_run))
                    order(ATTEND, layer)
                    at += n_run
                order(COMPLETE, layer)

    def logits(self, first: int, n_rows: int) -> Floats:
        """Return logits of the last batch; as `Forward.logits`."""
        rows = self._workspace.set_logit_rows(first, n_rows)
        with self.team.working():
            self.team.order(LOGITS, 0)
        return rows

    def use_cache(self, layout: BlockLayout) -> None:
        """Say how the sequences to come hold keys and values."""
        self._workspace.set_cache(layout)

    def close(self) -> None:
        """End the team; twice is harmless."""
        self.team.close()
