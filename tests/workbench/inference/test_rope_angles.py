"""Angles of positions."""

import math

import numpy as np

from workbench.inference.llama_config import Rope
from workbench.inference.rope_angles import RopeAngles


def rope(factor=1.0):
    return Rope(base=100.0, dimensions=4, factor=factor, factors_name="", pairing="adjacent")


def test_angles_by_hand():
    angles = RopeAngles(rope(), np.ones(2, np.float32))
    assert angles.n_pairs == 2
    cosines, sines = angles.at(3, 2)
    np.testing.assert_allclose(cosines[0], [math.cos(3), math.cos(0.3)], rtol=1e-6)
    np.testing.assert_allclose(sines[1], [math.sin(4), math.sin(0.4)], rtol=1e-6)
    assert cosines.dtype == sines.dtype == np.float32


def test_factors_divide_each_pair_and_the_linear_one_all():
    angles = RopeAngles(rope(factor=2.0), np.array([1, 5], np.float32))
    cosines, _ = angles.at(8, 1)
    np.testing.assert_allclose(cosines[0], [math.cos(4), math.cos(0.08)], rtol=1e-6)


def test_far_positions_are_as_exact_as_near_ones():
    _, sines = RopeAngles(rope(), np.ones(2, np.float32)).at(1_000_003, 1)
    assert abs(sines[0, 0] - math.sin(1_000_003)) < 1e-7
