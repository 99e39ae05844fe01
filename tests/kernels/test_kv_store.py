"""KV stores: ring positions by hand, every dtype bit for bit, refusals."""

import numpy as np
import pytest

from kernels.kv_store import KERNEL

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
def test_toy_by_hand(name):
    """Two layers, one head of one value, three slots; tokens 2..5 land in slots 2, 0, 1, 2."""
    k_slab, v_slab = np.zeros((2, 2, 3, 1, 1), np.float32)
    k_tokens = np.array([[20, 21], [30, 31], [40, 41], [50, 51]], np.float32).reshape(4, 2, 1, 1)
    KERNEL.variants[name](k_slab, v_slab, k_tokens, -k_tokens, 2)
    assert k_slab.reshape(2, 3).tolist() == [[30, 40, 50], [31, 41, 51]]
    assert v_slab.reshape(2, 3).tolist() == [[-30, -40, -50], [-31, -41, -51]]


@variants
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.uint16])
def test_every_bit_pattern_survives(name, dtype):
    rng = np.random.default_rng(3)
    k_slab, v_slab = np.zeros((2, 2, 4, 3, 16), dtype)
    shape = (5, 2, 3, 16)
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    # Random bits hold NaNs with payloads and denormals, which a conversion would change.
    k_tokens, v_tokens = (np.frombuffer(rng.bytes(n_bytes), dtype).reshape(shape) for _ in range(2))
    KERNEL.variants[name](k_slab, v_slab, k_tokens, v_tokens, 0)
    for token in range(1, 5):
        KERNEL.check(k_tokens[token], np.ascontiguousarray(k_slab[:, token % 4]))
        KERNEL.check(v_tokens[token], np.ascontiguousarray(v_slab[:, token % 4]))


@variants
def test_other_slots_stay_as_they_were(name):
    slabs = np.full((2, 2, 4, 1, 3), 9.0, np.float32)
    tokens = np.ones((1, 2, 1, 3), np.float32)
    KERNEL.variants[name](slabs[0], slabs[1], tokens, tokens, 6)
    assert (slabs[:, :, 2] == 1).all()
    assert (slabs[:, :, [0, 1, 3]] == 9).all()


@variants
def test_refusals_name_what_is_wrong(name):
    store = KERNEL.variants[name]
    slab, tokens = np.zeros((2, 4, 1, 3), np.float32), np.zeros((1, 2, 1, 3), np.float32)
    with pytest.raises(ValueError, match=r"k_slab has shape \(2, 0, 1, 3\)"):
        store(slab[:, :0], slab[:, :0], tokens, tokens, 0)
    with pytest.raises(ValueError, match=r"v_slab is float32\[2, 3, 1, 3\]"):
        store(slab, np.zeros((2, 3, 1, 3), np.float32), tokens, tokens, 0)
    with pytest.raises(ValueError, match=r"k_tokens is float32\[1, 2, 1, 4\]; .* float32\[1, 2"):
        store(slab, slab.copy(), np.zeros((1, 2, 1, 4), np.float32), tokens, 0)
    with pytest.raises(ValueError, match="k_tokens is float64"):
        store(slab, slab.copy(), tokens.astype(float), tokens, 0)
    twice = np.zeros((1, 2, 1, 6), np.float32)
    with pytest.raises(ValueError, match="v_tokens is not C-contiguous"):
        store(slab, slab.copy(), tokens, twice[..., ::2], 0)
    with pytest.raises(ValueError, match="position -1 is negative"):
        store(slab, slab.copy(), tokens, tokens, -1)


def test_traffic_counts_both_directions():
    inputs = KERNEL.make_inputs(np.random.default_rng(0), 2)
    assert KERNEL.bytes_moved(*inputs) == 2 * 2 * (2 * 3 * 2 * 5 * 4)
