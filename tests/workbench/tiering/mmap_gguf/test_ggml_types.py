"""The type table agrees with the formats' own arithmetic."""

import pytest

from workbench.tiering.mmap_gguf.ggml_types import GGML_TYPES

BITS = {"F32": 32, "F16": 16, "BF16": 16, "F64": 64, "I8": 8, "I16": 16, "I32": 32, "I64": 64}


def test_names_are_unique():
    assert len({kind.name for kind in GGML_TYPES.values()}) == len(GGML_TYPES)


@pytest.mark.parametrize("kind", GGML_TYPES.values(), ids=lambda kind: kind.name)
def test_bits_a_value_match_the_name(kind):
    bits = 8 * kind.block_bytes / kind.block_values
    if kind.name in BITS:
        assert bits == BITS[kind.name]
    elif kind.name[0] in "QI":
        named = int(kind.name.removeprefix("I")[1])
        # Scales cost up to 1.5 bits a value on top of what the name says.
        assert named <= bits <= named + 1.6
    else:
        assert bits < 5


def test_the_blocks_used_by_the_development_model():
    by_name = {kind.name: kind for kind in GGML_TYPES.values()}
    # Q4_1: fp16 scale and minimum, 32 nibbles; Q8_0: fp16 scale, 32 bytes.
    assert (by_name["Q4_1"].block_values, by_name["Q4_1"].block_bytes) == (32, 2 + 2 + 16)
    assert (by_name["Q8_0"].block_values, by_name["Q8_0"].block_bytes) == (32, 2 + 32)
