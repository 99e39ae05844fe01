"""The choice of a store, and stores on several threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kernels import block_store
from kernels.block_store import FAMILIES, choose, store_on_threads


@pytest.mark.parametrize(("source", "stored"), FAMILIES)
def test_choices_are_variants_of_their_family(source, stored):
    kernel = FAMILIES[source, stored]
    assert choose(source, stored, past_cache=True) is kernel.variants["njit_nontemporal"]
    assert choose(source, stored, past_cache=False) is kernel.variants["njit_vector"]


def test_uint16_means_the_bits_of_float16():
    same = choose(np.float16, "int8", past_cache=True)
    assert choose(np.uint16, "int8", past_cache=True) is same


def test_what_there_is_no_store_for_is_named():
    with pytest.raises(ValueError, match="from float64 to float16; there are float32 to float32"):
        choose(np.float64, "float16", past_cache=False)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 64])
@pytest.mark.parametrize("n_tokens", [0, 1, 2, 37])
def test_threads_store_what_one_would(n_tokens, n_threads):
    kernel = block_store.block_narrow.KERNEL
    expected = kernel.make_inputs(np.random.default_rng(0), n_tokens)
    got = (expected[0].copy(), *expected[1:])
    kernel.reference(*expected)
    with ThreadPoolExecutor(2) as pool:
        store_on_threads(choose("float32", "float16", past_cache=True), pool, n_threads, got)
    np.testing.assert_array_equal(got[0], expected[0])


def test_a_refusal_on_another_thread_is_not_lost():
    inputs = list(block_store.block_narrow.KERNEL.make_inputs(np.random.default_rng(0), 4))
    inputs[1] = inputs[1].copy()
    inputs[1][3] = 99
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="outside the slab"):
        store_on_threads(choose("float32", "float16", past_cache=True), pool, 2, tuple(inputs))
