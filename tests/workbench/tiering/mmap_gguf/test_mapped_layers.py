"""MappedLayers: what mincore sees stays within the budget while layers pass."""

import os
import sys

import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.layers import Span, group_tensors
from workbench.tiering.mmap_gguf.mapped_layers import MappedLayers
from workbench.tiering.mmap_gguf.residency import resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets pages go")

N_LAYERS = 6
HEADER_PAGES = 3


@pytest.fixture
def model(disk_folder):
    file = Model(embedding=256, feed_forward=512, kind="F32", layers=N_LAYERS).file()
    path = file.write(disk_folder / "m.gguf")
    with path.open("rb") as written:
        os.fsync(written.fileno())
    with open_model(path) as model:
        yield model


@pytest.mark.parametrize("extra_layers", [0, 1, 2])
def test_no_more_than_the_budget_is_in_memory_at_any_layer(model, extra_layers):
    groups = group_tensors(model.header)
    layer_bytes = max(group.page_bytes for group in groups.layers)
    budget = groups.rest.page_bytes + (2 + extra_layers) * layer_bytes
    whole = [Span(0, 0, model.header.file_bytes)]
    # The header's pages are no weights.
    allowed = budget + HEADER_PAGES * os.sysconf("SC_PAGE_SIZE")
    with MappedLayers(model, budget) as source:
        assert sum(source.plan.passing) == N_LAYERS - extra_layers
        for layer in [*range(N_LAYERS)] * 2:
            for tensor in source.layer(layer).values():
                int(tensor.packed.sum())
            assert resident_bytes(model, groups.layers[layer].spans) > 0
            assert resident_bytes(model, whole) <= allowed


def test_what_was_read_ahead_in_vain_is_let_go(model):
    groups = group_tensors(model.header)
    least = groups.rest.page_bytes + 2 * max(group.page_bytes for group in groups.layers)
    with MappedLayers(model, least) as source:
        source.layer(0)
        # Layer 1 is on its way and is not wanted any more.
        source.layer(4)
        source.layer(4)
        assert resident_bytes(model, [s.narrowed() for s in groups.layers[1].spans]) == 0


def test_closing_lets_the_passing_layers_go(model):
    groups = group_tensors(model.header)
    least = groups.rest.page_bytes + 2 * max(group.page_bytes for group in groups.layers)
    with MappedLayers(model, least) as source:
        for tensor in source.layer(0).values():
            int(tensor.packed.sum())
    inside = [span.narrowed() for group in groups.layers for span in group.spans]
    assert resident_bytes(model, inside) == 0


def test_a_model_that_fits_keeps_the_kernels_read_ahead(model):
    groups = group_tensors(model.header)
    with MappedLayers(model, 1 << 40) as source:
        assert not any(source.plan.passing)
        assert len(source.layer(N_LAYERS - 1)) == len(groups.layers[-1].tensors)
