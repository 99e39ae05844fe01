"""Where tokens may go: everything that would write outside the slab is refused before it does."""

import numpy as np
import pytest

from kernels import block_target
from kernels.block_copy import KERNEL

STORE = KERNEL.variants["njit_vector"]


def inputs(**changes):
    """Return valid arguments, two tokens of two layers, with some replaced."""
    names = ("slab", "slots", "rows", "places", "k_tokens", "v_tokens")
    made = KERNEL.make_inputs(np.random.default_rng(0), 2)
    return [changes.get(name, value) for name, value in zip(names, made, strict=True)]


def refused(message, **changes):
    arguments = inputs(**changes)
    before = arguments[0].copy()
    with pytest.raises(ValueError, match=message):
        STORE(*arguments)
    np.testing.assert_array_equal(arguments[0], before)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("name", "value"), [("slots", -1), ("slots", 2), ("rows", -1), ("rows", 8)]
)
def test_a_place_outside_the_slab_is_refused(name, value, number):
    given = dict(zip(("slab", "slots", "rows"), inputs(), strict=False))
    wrong = given[name].copy()
    wrong[number] = value
    refused(f"token {number} would lie outside the slab", **{name: wrong})


@pytest.mark.parametrize("value", [-2, 10**6])
def test_a_layer_outside_the_block_is_refused(value):
    places = inputs()[3].copy()
    places[1, 1] = value
    refused("token 0 would lie outside", places=places)


@pytest.mark.parametrize(("n_bytes", "misfit"), [(20, -1), (18, 0)])
def test_scales_outside_the_block_are_refused(n_bytes, misfit):
    zeros, places = np.zeros(1, np.int64), np.array([[0, 8, 16, 18]])
    slab = np.zeros((1, n_bytes), np.uint8)
    assert block_target.first_misfit(slab, zeros, zeros, places, (1, 8, 1)) == misfit


def test_values_off_their_grid_are_refused():
    places = inputs()[3].copy()
    places[0, 0] += 1
    refused("must be multiples of their values", places=places)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("slab", lambda a: a[0], r"slab is uint8\[\d+\]; it must be uint8\[\d+, \d+\]"),
        ("slab", lambda a: a.view(np.int8), "slab is int8"),
        ("slab", lambda a: np.repeat(a, 2, axis=1)[:, ::2], "slab is not C-contiguous"),
        ("slots", lambda a: a.astype(np.int32), "slots is int32"),
        ("rows", lambda a: a[:1], r"rows is int64\[1\]; it must be int64\[2\]"),
        ("places", lambda a: a[:, :2], r"places is int64\[2, 2\]; it must be int64\[2, 4\]"),
        ("k_tokens", lambda a: a.astype(np.float64), "k_tokens is float64.*float32 or uint16"),
        ("k_tokens", lambda a: a[0], "k_tokens is uint16"),
        ("k_tokens", lambda a: np.swapaxes(a, 2, 3), "k_tokens is not C-contiguous"),
        ("v_tokens", lambda a: a.view(np.float16).astype(np.float32), "v_tokens is float32"),
    ],
)
def test_refusals_name_what_is_wrong(name, change, message):
    names = ("slab", "slots", "rows", "places", "k_tokens", "v_tokens")
    given = dict(zip(names, inputs(), strict=True))
    refused(message, **{name: change(given[name])})


def test_float16_tokens_are_taken_as_their_bits():
    arguments, as_bits = inputs(), inputs()
    arguments[4:] = [tokens.view(np.float16) for tokens in arguments[4:]]
    STORE(*arguments)
    STORE(*as_bits)
    np.testing.assert_array_equal(arguments[0], as_bits[0])


def test_traffic_counts_scales_only_with_int8():
    tokens = np.zeros((2, 3, 4, 8), np.float32)
    both = 2 * tokens.size
    assert block_target.bytes_moved(4, tokens, tokens) == 8 * both
    assert block_target.bytes_moved(1, tokens, tokens) == 5 * both + 2 * both // 8
