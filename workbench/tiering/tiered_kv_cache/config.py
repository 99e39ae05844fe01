"""Say how large a cache may grow, what it keeps hot and what it writes behind.

Follows: every resource has a configured limit that holds.
Leaves out: the SSD tier's own limits (ssd_tier/config.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.tiering import compression
from workbench.tiering.compression.none import NoCodec
from workbench.tiering.eviction.lru import Lru
from workbench.tiering.eviction.policy import Policy
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.layout import BLOCK_TOKENS, BlockLayout
from workbench.tiering.write_policy import WritePolicy, WriteThrough

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """How one cache is run.

    Attributes
    ----------
    geometry : KVGeometry           of the model; its dtype (float32, float16, int8) is what is kept
    hot_bytes : int                 memory for hot blocks, those on their way out included
    max_hot_bytes : int or None     how far `set_hot_budget` may raise that; None: not at all
    block_tokens : int              tokens a block
    frame_layers : int              layers that are read and written as one frame; 0: as
                                    `BlockLayout` chooses
    policy : callable               makes the eviction policy for so many hot blocks
    write : callable                makes the policy that says which blocks go to the SSD tier
    high_watermark_frac : float     0..1 of the slots; above it blocks are demoted ...
    low_watermark_frac : float      ... until so few are hot; <= high
    recent_tokens : int             the last so many tokens of every open sequence stay hot
    codec : str                     of frames on the SSD tier: a name of `compression.CODECS`, or
                                    one with others for some layers, as "int8,int4:12-29"
    staging_bytes : int             memory through which cold blocks are attended
    attend_stored : bool            attend cold blocks as the codec stored them, where it can; the
                                    values are the same
    write_queue_blocks : int        sealed blocks that may wait for the SSD tier; more are dropped
    write_wait_s : float            how long a sequence waits for a slot that is being written
    close_wait_s : float            how long closing, and persisting, wait for blocks on their way
                                    to the SSD tier
    """

    geometry: KVGeometry
    hot_bytes: int
    block_tokens: int = BLOCK_TOKENS
    frame_layers: int = 0
    policy: Callable[[int], Policy[bytes]] = Lru
    write: Callable[[], WritePolicy] = WriteThrough
    high_watermark_frac: float = 0.95
    low_watermark_frac: float = 0.9
    recent_tokens: int = 0
    codec: str = NoCodec.name
    staging_bytes: int = 64 * MIB
    attend_stored: bool = True
    write_queue_blocks: int = 256
    write_wait_s: float = 1.0
    close_wait_s: float = 30.0
    max_hot_bytes: int | None = None

    def __post_init__(self) -> None:
        rules = self._broken_rules()
        problems = [f"KV cache: {name}={value} must be {rule}" for name, value, rule in rules]
        try:
            problems += compression.problems_with(self.codec, self.layout)
        except UsageError as error:
            problems += error.problems
        if problems:
            raise UsageError(problems)

    def _broken_rules(self) -> list[tuple[str, object, str]]:
        low, high = self.low_watermark_frac, self.high_watermark_frac
        rules = [
            ("hot_bytes", self.hot_bytes >= 1, "at least one block's bytes"),
            (
                "max_hot_bytes",
                self.max_hot_bytes is None or self.max_hot_bytes >= self.hot_bytes,
                "at least hot_bytes",
            ),
            ("high_watermark_frac", 0 < high <= 1, "above 0 and at most 1"),
            ("low_watermark_frac", 0 <= low <= high, "0..high_watermark_frac"),
            ("recent_tokens", self.recent_tokens >= 0, "at least 0"),
            ("staging_bytes", self.staging_bytes >= 1, "at least two frames' bytes"),
            ("write_queue_blocks", self.write_queue_blocks >= 1, "at least 1"),
            *(
                (name, _is_time(getattr(self, name)), "a finite number of seconds, at least 0")
                for name in ("write_wait_s", "close_wait_s")
            ),
        ]
        return [(name, getattr(self, name), rule) for name, holds, rule in rules if not holds]

    @property
    def codec_id(self) -> int:
        """Return the codec's number, told to the SSD tier and part of every key."""
        return compression.identity(self.codec, self.geometry.layers).number

    @property
    def layer_codecs(self) -> bytes:
        """Return each layer's codec, part of every key; empty if all have one."""
        return compression.identity(self.codec, self.geometry.layers).layers

    @property
    def layout(self) -> BlockLayout:
        """Return where a block's values lie."""
        return BlockLayout(self.geometry, self.block_tokens, self.frame_layers)


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0
