"""dequantize(): every type equals the `gguf` package bit for bit, on noise and on a real model."""

import gguf
import numpy as np
import pytest
from numba import config

from kernels.block_format import same_floats
from kernels.dequantize import DEQUANTIZERS, dequantize
from workbench import paths
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.mmap_gguf.ggml_types import DEQUANTISED, GGML_TYPES

MODEL = "data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
TYPES = {kind.name: kind for kind in GGML_TYPES.values() if kind.name in DEQUANTISED}
# Where float16 scales stand in a block.
HALVES = {"Q6_K": (208,), "Q4_0": (0,), "Q5_0": (0,), "Q8_0": (0,)}
# Interpreted (tests/kernels/test_simd.py runs all of this so) a block takes a millisecond.
N_BLOCKS = 20 if config.DISABLE_JIT else 1000
# Zeros of both signs, the smallest subnormal, the largest subnormal, normals at both ends,
# infinities and a NaN.
EXTREMES = (0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0xFBFF, 0x7BFF, 0x7C00, 0xFC00, 0x7E01)


def oracle(name: str, packed: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[name])


def ours(name: str, packed: np.ndarray) -> np.ndarray:
    kind = TYPES[name]
    values = np.full(packed.size // kind.block_bytes * kind.block_values, 7, np.float32)
    dequantize(name, packed, values)
    return values


def test_the_header_reader_knows_the_same_types():
    assert set(DEQUANTIZERS) == set(TYPES) == set(DEQUANTISED)


@pytest.mark.parametrize("name", TYPES)
def test_noise_of_any_scale_gives_the_same_bits(name):
    rng = np.random.default_rng(5)
    packed = rng.integers(0, 256, (N_BLOCKS, TYPES[name].block_bytes), np.uint8)
    same_floats(oracle(name, packed.ravel()), ours(name, packed.ravel()))


@pytest.mark.parametrize("name", sorted(set(TYPES) - {"F32", "F16", "BF16"}))
@pytest.mark.parametrize("first", EXTREMES, ids=hex)
def test_extreme_scales_give_the_same_bits(name, first):
    rng = np.random.default_rng(first)
    packed = rng.integers(0, 256, (len(EXTREMES), TYPES[name].block_bytes), np.uint8)
    places = HALVES.get(name, (0, 2))
    packed[:, places[0] : places[0] + 2] = np.frombuffer(np.uint16(first).tobytes(), np.uint8)
    if len(places) > 1:
        packed[:, 2:4] = np.array(EXTREMES, np.uint16)[:, None].view(np.uint8)
    same_floats(oracle(name, packed.ravel()), ours(name, packed.ravel()))


@pytest.mark.parametrize("name", ["F16", "BF16"])
def test_every_number_of_16_bits_is_widened_exactly(name):
    packed = np.arange(1 << 16, dtype=np.uint16).view(np.uint8)
    same_floats(oracle(name, packed), ours(name, packed))


@pytest.mark.skipif(config.DISABLE_JIT, reason="30 million values are too many to interpret")
def test_the_real_models_tensors_give_the_same_bits():
    header = read_header(paths.root() / MODEL)
    chosen = [tensor for tensor in header.tensors if tensor.name.startswith("blk.17.")]
    chosen += [tensor for tensor in header.tensors if not tensor.name.startswith("blk.")]
    assert {tensor.ggml_type.name for tensor in chosen} == {"F32", "Q4_1", "Q8_0"}
    file = np.memmap(header.path, np.uint8, "r")
    for tensor in chosen:
        packed = file[tensor.offset : tensor.offset + tensor.n_bytes]
        # The package reads rows of its own; a flat one keeps its work in 16 pieces.
        rows = packed.reshape(-1, tensor.n_bytes // tensor.shape[-1])
        kind = tensor.ggml_type.name
        got = ours(kind, np.asarray(packed))
        same_floats(oracle(kind, np.ascontiguousarray(rows)).ravel(), got)
        assert np.isfinite(got).all()


def test_a_tensor_at_an_odd_address_is_read_as_well():
    rng = np.random.default_rng(1)
    for name, kind in TYPES.items():
        if name in ("F16", "BF16"):
            continue
        room = rng.integers(0, 256, 1 + 3 * kind.block_bytes, np.uint8)
        same_floats(oracle(name, room[1:].copy()), ours(name, room[1:]))


def test_what_does_not_match_is_refused():
    values = np.zeros(32, np.float32)
    with pytest.raises(ValueError, match="no dequantiser for Q2_K; there is F32, F16"):
        dequantize("Q2_K", np.zeros(84, np.uint8), values)
    with pytest.raises(ValueError, match="19 bytes of Q4_1 for 32 values"):
        dequantize("Q4_1", np.zeros(19, np.uint8), values)
    with pytest.raises(ValueError, match="20 bytes of Q4_1 for 31 values"):
        dequantize("Q4_1", np.zeros(20, np.uint8), values[:31])
    with pytest.raises(ValueError, match="packed is int8"):
        dequantize("Q4_1", np.zeros(20, np.int8), values)
    with pytest.raises(ValueError, match="contiguous: False"):
        dequantize("Q4_1", np.zeros(20, np.uint8), np.zeros(64, np.float32)[::2])
