"""Store layers as they are: float16 stays float16. The baseline of every codec.

Leaves out: copying; the cold tier passes the codec by and reads straight into the slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workbench.tiering.compression.codec import KEEP_NOTHING, Bytes, Codec, Kept

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.layout import BlockLayout


class NoCodec(Codec):
    """The identity. Error bound: none, bit for bit. Size: the layers'."""

    name: ClassVar[str] = "none"
    id: ClassVar[int] = 0
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "int8")
    is_exact: ClassVar[bool] = True

    def __init__(self, layout: BlockLayout) -> None:
        super().__init__(layout)
        self.max_stored_bytes = self._stored_bytes(0)

    def _stored_bytes(self, number: int) -> int:
        return self._layers(number) * self.layout.layer_bytes

    def encode(self, frame: Bytes, number: int, out: Bytes, kept: Kept = KEEP_NOTHING) -> int:
        """Copy the layers."""
        n_bytes = self._stored_bytes(number)
        out[:n_bytes] = frame[:n_bytes]
        return n_bytes

    def decode(self, stored: Bytes, number: int, out: Bytes) -> None:
        """Copy them back."""
        n_bytes = self._stored_bytes(number)
        self._require(stored.nbytes, n_bytes)
        out[:n_bytes] = stored
