"""Describe a packed weight type to its kernels: block sizes, check, inputs, the record of a family.

Follows: kernels/record.py. Leaves out: how each type is unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps

import numpy as np
from numba import config

from kernels.record import Kernel, register

Dequantize = Callable[[np.ndarray, np.ndarray], None]
DecodeBlock = Callable[[bytes], Iterable[float]]

SIZES_BLOCKS = (0, 1, 2, 3, 17)


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """A packed type: ``block_values`` values stand in ``block_bytes`` bytes."""

    name: str
    block_values: int
    block_bytes: int

    def check(self, packed: np.ndarray, values: np.ndarray) -> None:
        """Raise ValueError unless whole packed blocks meet exactly as many float32."""
        for name, array, dtype in (("packed", packed, np.uint8), ("values", values, np.float32)):
            if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(
                    f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
                    f"{array.flags.c_contiguous}; pass contiguous {np.dtype(dtype)}[n]"
                )
        n_blocks, left = divmod(packed.size, self.block_bytes)
        if left or values.size != n_blocks * self.block_values:
            raise ValueError(
                f"{packed.size} bytes of {self.name} for {values.size} values; a block of "
                f"{self.block_bytes} bytes holds {self.block_values} values"
            )

    def reference(self, decode: DecodeBlock) -> Dequantize:
        """Return the definition: every block decoded by itself in plain Python."""

        def reference(packed: np.ndarray, values: np.ndarray) -> None:
            """Write the values that packed blocks stand for.

            Parameters
            ----------
            packed : uint8[n_blocks * block_bytes]      read
            values : float32[n_blocks * block_values]   written
            """
            for block in range(len(packed) // self.block_bytes):
                raw = bytes(packed[block * self.block_bytes : (block + 1) * self.block_bytes])
                for place, value in enumerate(decode(raw)):
                    values[block * self.block_values + place] = value

        return reference

    def checked(self, dequantize: Dequantize) -> Dequantize:
        """Return a dequantiser that refuses arrays its loop would overrun."""
        # Interpreted, NumPy would warn of an infinite scale times zero.
        quiet = np.errstate(all="ignore")(dequantize) if config.DISABLE_JIT else dequantize

        @wraps(dequantize)
        def run(packed: np.ndarray, values: np.ndarray) -> None:
            self.check(packed, values)
            quiet(packed, values)

        return run

    def make_inputs(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``size`` blocks of random bits, with scales of any kind, and zeroed values."""
        packed = rng.integers(0, 256, size * self.block_bytes, dtype=np.uint8)
        return packed, np.zeros(size * self.block_values, np.float32)

    def register(self, dequantize: Dequantize, decode: DecodeBlock) -> Dequantize:
        """Enter a type's compiled kernel and its definition; return the kernel, checked."""
        run = self.checked(dequantize)
        register(
            Kernel(
                name=f"dequantize_{self.name.lower()}",
                reference=self.reference(decode),
                baseline="njit_vector",
                variants={"njit_vector": run},
                make_inputs=self.make_inputs,
                outputs=(1,),
                check=same_floats,
                bytes_moved=bytes_moved,
                sizes=SIZES_BLOCKS,
            )
        )
        return run


def same_floats(expected: np.ndarray, got: np.ndarray) -> None:
    """Assert that two float32 arrays hold the same bits; any NaN equals any other."""
    unlike = (expected.view(np.uint32) != got.view(np.uint32)) & ~(
        np.isnan(expected) & np.isnan(got)
    )
    assert not unlike.any(), f"differ at {np.flatnonzero(unlike)[:5]}: {expected[unlike][:5]}"


def bytes_moved(packed: np.ndarray, values: np.ndarray) -> int:
    """Return the bytes read plus written."""
    return packed.nbytes + values.nbytes


def half(raw: bytes, at: int) -> float:
    """Return the float16 at an offset."""
    return float(struct.unpack_from("<e", raw, at)[0])


def single(value: float) -> float:
    """Round to float32.

    A sum or product of two float32 is rounded to Python's float64 first, which changes nothing: 53
    bits are more than twice 24 and two.
    """
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
