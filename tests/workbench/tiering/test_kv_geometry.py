"""KVGeometry: hand-worked sizes and refusals."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.kv_geometry import SEED, KVGeometry


def test_toy_by_hand():
    geometry = KVGeometry(layers=2, kv_heads=3, head_dim=4, dtype="uint16")
    assert geometry.values_per_token == 48
    assert geometry.bytes_per_token == 96
    assert geometry.slab_shape(5) == (2, 5, 3, 4)


def test_seed_geometry_is_one_mebibyte_a_token():
    assert SEED.bytes_per_token == 1 << 20


def test_llama_70b_is_320_kib_a_token_at_fp16():
    assert KVGeometry(80, 8, 128, "float16").bytes_per_token == 320 << 10


def test_every_problem_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        KVGeometry(layers=0, kv_heads=-1, head_dim=2.5, dtype="fp16")  # type: ignore[arg-type]
    text = str(caught.value)
    for part in ("layers=0", "kv_heads=-1", "head_dim=2.5", "dtype='fp16'"):
        assert part in text


@pytest.mark.parametrize("dtype", ["object", "U4", "bool", "complex64", "longdouble", "", None])
def test_dtypes_that_hold_no_numbers_are_refused(dtype):
    with pytest.raises(UsageError, match="numeric NumPy dtype"):
        KVGeometry(1, 1, 1, dtype)


def test_a_boolean_is_no_count():
    with pytest.raises(UsageError, match="layers=True"):
        KVGeometry(True, 1, 1)
