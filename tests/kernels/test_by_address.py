"""Functions called by their address."""

import numpy as np
from numba import njit

from kernels.atomics import load_int64, store_int64
from kernels.by_address import Entry, call


def add(place, number):
    store_int64(place, load_int64(place) + number)


def spread(first, second, third):
    store_int64(first, second * third)


SPREAD = Entry(spread)


@njit
def call_both(addresses, place):
    call(addresses[0], (place, 5))
    call(addresses[1], (place + 8, 6, 7))
    call(addresses[0], (place + 8, -2))


def test_each_address_is_a_function_of_its_own_arguments():
    numbers = np.array([1, 0, 9])
    addresses = np.array([Entry(add).address, SPREAD.address])
    call_both(addresses, numbers.ctypes.data)
    np.testing.assert_array_equal(numbers, [6, 40, 9])


def test_an_address_stays():
    assert SPREAD.address == SPREAD.address != Entry(add).address
