"""The shape of one token's keys and values, and how many bytes they take.

Follows: the grouped-query layout of Llama-family headers (KV heads, not attention heads).
Leaves out: per-block codec overhead such as quantisation scales (workbench/tiering/compression).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class KVGeometry:
    """What a model stores per token: K and V for every layer.

    Attributes
    ----------
    layers : int      transformer layers, > 0
    kv_heads : int    key-value heads per layer, > 0; fewer than query heads when grouped
    head_dim : int    values per head, > 0
    dtype : str       NumPy dtype name of one value; ``"uint16"`` can carry fp16 bits

    Raises
    ------
    UsageError   if a count is not positive or NumPy knows no such numeric dtype; names all of them
    """

    layers: int
    kv_heads: int
    head_dim: int
    dtype: str = "float32"

    def __post_init__(self) -> None:
        problems = [
            f"KV geometry: {name}={getattr(self, name)!r} must be a whole number of at least 1"
            for name in ("layers", "kv_heads", "head_dim")
            if not _is_count(getattr(self, name))
        ]
        if not _is_numeric(self.dtype):
            problems.append(
                f"KV geometry: dtype={self.dtype!r} is no numeric NumPy dtype name; "
                "use for example 'float32', 'float16' or 'int8'"
            )
        if problems:
            raise UsageError(problems)

    @property
    def values_per_token(self) -> int:
        """Return the number of values in one token's K and V over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def bytes_per_token(self) -> int:
        """Return the bytes of one token's K and V over all layers."""
        return self.values_per_token * np.dtype(self.dtype).itemsize

    def slab_shape(self, capacity_tokens: int) -> tuple[int, int, int, int]:
        """Return the token-major shape of a K (or V) slab: [layers, tokens, kv_heads, head_dim]."""
        return (self.layers, capacity_tokens, self.kv_heads, self.head_dim)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_numeric(name: object) -> bool:
    if not isinstance(name, str):
        return False
    try:
        dtype = np.dtype(name)
    except TypeError:
        return False
    return dtype.kind in "iuf" and dtype.itemsize <= 8


# The geometry of the Day 1 seed report: 1 MiB a token, 1,024 hot tokens in 1 GiB.
SEED = KVGeometry(layers=32, kv_heads=32, head_dim=128, dtype="float32")
