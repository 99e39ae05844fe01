"""Which layers each rule picks for the coarser codec."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.selection import coarse_choices
from workbench.benchmark.selection.coarse_choices import (
    COARSE,
    FINE,
    LEAST_LOSS,
    LEAST_MASS,
    LEAST_NEED,
    MOST_NEED,
    SPREAD,
    UNIFORM,
    Guides,
)
from workbench.tiering import compression

LAYERS = 7
GUIDES = Guides(
    needs=[0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.3],
    mass=np.array([0.1, 0.2, 0.0, 0.5, 0.1, 0.6, 0.3]),
    losses=[3, 3, 3, 3, 3, 3, 1],
)


def coarse_of(choice, layers=LAYERS):
    """Return the layers that a choice stores more coarsely."""
    codecs = compression.parse(choice.codec).codecs(layers)
    assert {codec.name for codec in codecs} <= {FINE, COARSE}
    return [layer for layer, codec in enumerate(codecs) if codec.name == COARSE]


def test_every_rule_picks_its_groups_of_layers():
    found = coarse_choices.choices(GUIDES, (1, 2), LAYERS)
    assert [one[:3] for one in found[:2]] == [(UNIFORM, 0, 0), (UNIFORM, 3, LAYERS)]
    assert [one.codec for one in found[:2]] == [FINE, COARSE]
    assert {(one.rule, one.n_groups): coarse_of(one) for one in found[2:]} == {
        (LEAST_NEED, 1): [3, 4, 5],
        (LEAST_MASS, 1): [0, 1, 2],
        (LEAST_LOSS, 1): [6],
        (SPREAD, 1): [0, 1, 2],
        (MOST_NEED, 1): [6],
        (LEAST_NEED, 2): [0, 1, 2, 3, 4, 5],
        (LEAST_MASS, 2): [0, 1, 2, 6],
        # As little is lost in both others: the first.
        (LEAST_LOSS, 2): [0, 1, 2, 6],
        (SPREAD, 2): [0, 1, 2, 6],
        (MOST_NEED, 2): [0, 1, 2, 6],
    }
    assert all(one.n_coarse == len(coarse_of(one)) for one in found)
    assert found[2].name == f"{COARSE} in 3 layers, {LEAST_NEED}"
    assert found[0].name == f"{FINE} in {UNIFORM}"


@pytest.mark.parametrize("layers", [1, 3, 7, 30])
def test_every_layer_is_in_one_group_and_each_is_alone_once(layers):
    assert [n for group in coarse_choices.groups(layers) for n in group] == list(range(layers))
    alone = [coarse_of(one, layers) for one in coarse_choices.alone(layers)]
    assert alone == [list(group) for group in coarse_choices.groups(layers)]
