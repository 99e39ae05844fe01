"""Let Hugging Face transformers keep its keys and values in the tiered KV cache.

Follows: the interface of `transformers.Cache`; a block is only found again by the token ids whose
keys and values it holds. It stands in inference, above tiering, as it reads a model's configuration
and its calls; tiering knows of no model.
Leaves out: batches, beams, sliding windows, and a model's `fingerprint`, which the cache is given.

    with cache.load(prompt_ids) as load:
        load.wait()
        with TieredCache(load.sequence, model) as past:
            model.generate(input_ids, past_key_values=past)  # all ids; known ones are cut
            load.sequence.persist()                          # another process goes on from here

transformers does not tell a cache which tokens it stores, so a hook before the model's forward pass
does. What is stored before must be how the prompt begins: as with any cache, generate looks at the
number of tokens alone. `TieredKVCache.load(prompt_ids)` sees to that; a sequence of all the prompt
has to be cut to one token less (`truncate`), as something must be computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import CachedSequence

try:
    import torch
    from transformers import Cache
    from transformers.cache_utils import CacheLayerMixin
except ModuleNotFoundError as missing:
    raise UsageError(
        f"this needs {missing.name}, which is not installed; "
        "pip install -e '.[transformers]' brings torch and transformers"
    ) from missing


class TieredLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's view of the sequence; what is new waits in its `TieredCache`."""

    is_sliding = False
    is_croppable = True
    supports_early_init = False

    def __init__(self, owner: TieredCache, layer: int) -> None:
        """Belong to a cache; use `TieredCache`."""
        super().__init__()
        self._owner = owner
        self._layer = layer

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the cache took its memory when it was opened."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the new tokens' keys and values; return all of them, from whichever tier.

        Parameters
        ----------
        key_states, value_states : float[1, kv_heads, n_new, head_dim]   on any device

        Raises
        ------
        UsageError       for another shape, or if the tokens' ids are not known
        CacheFullError   at the last layer, if there is no room; nothing is stored
        BlockLostError   if a cold block cannot be read; the sequence is cut to the tokens before it
        """
        past = self._owner.sequence.gather(self._layer, 0, self.get_seq_length())
        self._owner.take(self._layer, _rows(key_states), _rows(value_states))
        keys, values = (
            torch.cat([_states(old, new), new], dim=-2)
            for old, new in zip(past, (key_states, value_states), strict=True)
        )
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the tokens that are attended, and how many before them are not: none."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Return the tokens that were there before this step."""
        return self._owner.sequence.n_tokens

    def get_max_length(self) -> int:
        """Return -1: there is no limit but the tiers'."""
        return -1


class TieredCache(Cache, Closing):  # type: ignore[misc]
    """A sequence of a `TieredKVCache` as ``past_key_values`` of one model. For one thread.

    A step's tokens are stored together once the last layer has given its own. Until then they are
    in memory besides the hot slab: ``prefill_chunk_size`` of generate bounds that for long prompts.

    Attributes
    ----------
    sequence : CachedSequence   what is kept; stays open when this is closed
    """

    def __init__(self, sequence: CachedSequence, model: Any) -> None:
        """Watch the model's calls for the ids of the tokens that it is given, until `close`.

        Parameters
        ----------
        sequence : CachedSequence   empty, or with the tokens that the prompt begins with
        model : PreTrainedModel     a decoder whose layers all attend to all tokens

        Raises
        ------
        UsageError   if the sequence's geometry is another than the model's; names every difference
        """
        _require_fit(sequence, model)
        self.sequence = sequence
        geometry = sequence.layout.geometry
        super().__init__(layers=[TieredLayer(self, layer) for layer in range(geometry.layers)])
        self._token_ids: list[int] = []
        self._new: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._hook = model.register_forward_pre_hook(self._before_forward, with_kwargs=True)

    def close(self) -> None:
        """Stop watching the model; closing twice is harmless."""
        self._hook.remove()

    def _before_forward(
        self, _model: object, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Note the ids of a call that is given this cache, and refuse what would be kept wrong."""
        if kwargs.get("past_key_values") is not self:
            return
        ids = args[0] if args else kwargs.get("input_ids")
        if ids is None:
            raise UsageError("token ids are what a tiered cache finds blocks by; give input_ids")
        _require_one(ids.shape[0])
        _require_plain(kwargs, self.sequence.n_tokens, ids.shape[1])
        self._token_ids, self._new = ids[0].tolist(), {}

    def take(self, layer: int, keys: np.ndarray, values: np.ndarray) -> None:
        """Take a layer's new keys and values, float32[n_new, kv_heads, head_dim] each.

        Raises
        ------
        As `TieredLayer.update`
        """
        if len(keys) != len(self._token_ids):
            raise UsageError(
                f"{len(keys)} tokens came from a call with {len(self._token_ids)} ids; call the "
                "model that this cache was made for, with past_key_values as a keyword"
            )
        self._new[layer] = keys, values
        if len(self._new) == len(self.layers):
            self._store()

    def _store(self) -> None:
        """Let the tokens of this step count; block by block, so that they may outgrow memory."""
        new, ids = self._new, self._token_ids
        self._new, self._token_ids = {}, []
        in_order = [new[layer] for layer in range(len(self.layers))]
        keys, values = (np.stack(side, axis=1) for side in zip(*in_order, strict=True))
        self.sequence.append(ids, keys, values)

    # What transformers asks of a cache

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the tokens that are there in every layer."""
        return self.sequence.n_tokens

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last so many tokens.

        Parameters
        ----------
        tokens_to_remove : int   at most 0, as transformers has it: -3 removes three tokens

        Raises
        ------
        UsageError   if it is positive, or the sequence has not that many
        """
        if tokens_to_remove > 0:
            raise UsageError(f"crop({tokens_to_remove}) removes nothing; give a negative number")
        if tokens_to_remove:
            self.sequence.truncate(self.sequence.n_tokens + tokens_to_remove)

    def reset(self) -> None:
        """Start again with no tokens; blocks that were full can still be found."""
        self.sequence.truncate(0)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Refuse beams."""
        raise UsageError("a tiered cache holds one sequence; use num_beams=1")

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Refuse more than one sequence."""
        _require_one(repeats)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Refuse another batch than the one sequence."""
        _require_one(len(indices))

    def __deepcopy__(self, memo: object) -> Self:
        raise UsageError("a tiered cache cannot be copied; use CachedSequence.fork")


def _rows(states: torch.Tensor) -> np.ndarray:
    """Return float[1, kv_heads, n, head_dim] as float32[n, kv_heads, head_dim], contiguous."""
    _require_one(states.shape[0])
    rows = states[0].transpose(0, 1).to("cpu", torch.float32)
    return np.ascontiguousarray(rows.detach().numpy())


def _states(rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return float32[n, kv_heads, head_dim] as states, of the same dtype and device as others."""
    return torch.from_numpy(rows).transpose(0, 1)[None].to(like.device, like.dtype)


def _require_one(n_sequences: int) -> None:
    if n_sequences != 1:
        raise UsageError(
            f"a tiered cache holds one sequence, not {n_sequences}; generate them one by one, "
            "each with a cache of its own (TieredKVCache shares what they have in common)"
        )


def _require_plain(kwargs: Mapping[str, Any], n_known: int, n_new: int) -> None:
    """Refuse masks and positions by which equal ids would have other keys and values."""
    mask, positions = kwargs.get("attention_mask"), kwargs.get("position_ids")
    problems = []
    if mask is not None and not (mask.ndim == 2 and bool(mask.all())):
        problems.append("a tiered cache keeps no masked tokens; leave padding and masks out")
    elif mask is not None and mask.shape[1] != n_known + n_new:
        problems.append(
            f"a mask of {mask.shape[1]} tokens for {n_known} cached and {n_new} new ones; the "
            "prompt must have more tokens than are cached: cut the sequence with truncate"
        )
    if positions is not None and positions.flatten().tolist() != [*range(n_known, n_known + n_new)]:
        problems.append(
            f"position_ids must be {n_known}..{n_known + n_new - 1}, which follow the {n_known} "
            "tokens that are cached; leave them out, and if all of the prompt is cached, cut the "
            "sequence with truncate"
        )
    if problems:
        raise UsageError(problems)


def _require_fit(sequence: CachedSequence, model: Any) -> None:
    """Refuse a model whose keys and values are not what the sequence keeps."""
    config, geometry = model.config.get_text_config(), sequence.layout.geometry
    heads = config.num_attention_heads
    needed = {
        "layers": config.num_hidden_layers,
        "kv_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
    }
    problems = [
        f"KV geometry: {name}={getattr(geometry, name)}, but the model has {count}"
        for name, count in needed.items()
        if getattr(geometry, name) != count
    ]
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if others or getattr(config, "sliding_window", None):
        kinds = ", ".join(sorted(others)) or "sliding_window"
        problems.append(f"layers that attend to all tokens can be kept, not {kinds}")
    if problems:
        raise UsageError(problems)
