"""The contract of both layer sources: right bytes in any order, and never more than the budget."""

import mmap

import numpy as np
import pytest

from tests.workbench.tiering.gguf_models import Model, write_parts
from workbench.errors import UsageError
from workbench.tiering.mmap_gguf import GGUFError, open_model
from workbench.tiering.mmap_gguf.direct_layers import DirectLayers
from workbench.tiering.mmap_gguf.layer_source import LayerSource
from workbench.tiering.mmap_gguf.layers import group_tensors
from workbench.tiering.mmap_gguf.mapped_layers import MappedLayers

N_LAYERS = 5
MODEL = Model(embedding=128, feed_forward=256, kind="F16", layers=N_LAYERS)


@pytest.fixture(params=[MappedLayers, DirectLayers])
def make(request):
    return request.param


@pytest.fixture(params=[1, 3], ids=["whole", "split"])
def model(request, disk_folder):
    with open_model(write_parts(disk_folder, MODEL.parts(request.param))) as model:
        yield model


def least(model) -> int:
    groups = group_tensors(model.header)
    return groups.rest.page_bytes + 2 * max(group.page_bytes for group in groups.layers)


def everything(model) -> int:
    groups = group_tensors(model.header)
    return groups.rest.page_bytes + sum(group.page_bytes for group in groups.layers)


def check_layer(source: LayerSource, model, layer: int) -> None:
    tensors = source.layer(layer)
    assert len(tensors) == 9
    for name, tensor in tensors.items():
        assert name.startswith(f"blk.{layer}.")
        expected = model.tensor(name)
        assert tensor.info == expected.info
        np.testing.assert_array_equal(tensor.packed, expected.packed)
        assert not tensor.packed.flags.writeable


def for_one_token(source: LayerSource) -> None:
    for layer in range(N_LAYERS):
        source.layer(layer)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_layers_in_order_hold_the_files_bytes_token_after_token(make, model, share):
    budget = int(least(model) + share * (everything(model) - least(model)))
    with make(model, budget) as source:
        assert source.plan.needed_bytes <= budget
        assert (sum(source.plan.passing) == 0) == (share == 1.0)
        for layer in [*range(N_LAYERS)] * 3:
            check_layer(source, model, layer)


def test_layers_in_any_order_hold_the_files_bytes(make, model):
    order = np.random.default_rng(0).integers(0, N_LAYERS, 40).tolist()
    with make(model, least(model)) as source:
        for layer in order:
            check_layer(source, model, layer)


def test_the_rest_stays_valid(make, model):
    with make(model, least(model)) as source:
        for_one_token(source)
        assert set(source.rest) == {"token_embd.weight", "output_norm.weight"}
        for name, tensor in source.rest.items():
            np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)


def test_a_budget_too_small_is_refused(make, model):
    with pytest.raises(UsageError, match=r"weights_budget of .* is too small"):
        make(model, least(model) - mmap.PAGESIZE)


@pytest.mark.parametrize("layer", [-1, N_LAYERS])
def test_a_layer_that_is_not_there_is_refused(make, model, layer):
    with make(model, least(model)) as source, pytest.raises(IndexError, match="of 5"):
        source.layer(layer)


def test_closing_twice_is_harmless_and_leaves_the_model_open(make, model):
    source = make(model, least(model))
    source.layer(0)
    source.close()
    source.close()
    assert model.tensor("output_norm.weight").packed.size


def test_a_file_that_was_cut_is_an_error_and_no_crash(make, disk_folder):
    path = MODEL.file().write(disk_folder / "m.gguf")
    with open_model(path) as model, make(model, least(model)) as source:
        for_one_token(source)
        with path.open("r+b") as file:
            file.truncate(model.header.data_offset)
        with pytest.raises(GGUFError, match="open the model again"):
            for_one_token(source)
