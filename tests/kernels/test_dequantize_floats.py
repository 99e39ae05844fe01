"""float32, float16 and bfloat16: values worked out by hand."""

import struct

import numpy as np

from kernels.dequantize_floats import dequantize_bf16, dequantize_f16, dequantize_f32


def restored(dequantize, raw: bytes, count: int) -> list[float]:
    values = np.zeros(count, np.float32)
    dequantize(np.frombuffer(raw, np.uint8), values)
    return values.tolist()


def test_float32_is_copied():
    numbers = (1.5, -0.0, 1e-45, float("inf"))
    assert restored(dequantize_f32, struct.pack("<4f", *numbers), 4)[:2] == [1.5, -0.0]


def test_a_float32s_bits_survive_even_in_a_nan():
    word = np.array([0x7F800001], np.uint32)
    values = np.zeros(1, np.float32)
    dequantize_f32(word.view(np.uint8), values)
    assert values.view(np.uint32)[0] == 0x7F800001


def test_float16_is_widened():
    raw = bytes.fromhex("003c 00c0 0100 007c")
    assert restored(dequantize_f16, raw, 4) == [1.0, -2.0, 2.0**-24, float("inf")]


def test_bfloat16_is_the_upper_half_of_a_float32():
    raw = bytes.fromhex("803f 20c1 0080 807f")
    assert restored(dequantize_bf16, raw, 4) == [1.0, -10.0, -0.0, float("inf")]
