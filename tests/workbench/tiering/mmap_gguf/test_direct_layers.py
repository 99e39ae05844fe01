"""DirectLayers: memory of its own, a read that fails is told and may be tried again."""

import os

import numpy as np
import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.direct_layers import DirectLayers
from workbench.tiering.mmap_gguf.layers import group_tensors

N_LAYERS = 5


@pytest.fixture
def model(disk_folder):
    file = Model(embedding=128, feed_forward=256, kind="F16", layers=N_LAYERS).file()
    with open_model(file.write(disk_folder / "m.gguf")) as model:
        yield model


def least(model) -> int:
    groups = group_tensors(model.header)
    return groups.rest.page_bytes + 2 * max(group.page_bytes for group in groups.layers)


@pytest.mark.parametrize("kind", ["synchronous", "threads", "auto"])
def test_layers_lie_in_memory_of_their_own(model, kind):
    with DirectLayers(model, least(model), kind=kind) as source:
        addresses = set()
        for layer in [*range(N_LAYERS)] * 2:
            for name, tensor in source.layer(layer).items():
                assert not np.shares_memory(tensor.packed, model.bytes_of(0))
                np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)
                if name.endswith("attn_q.weight"):
                    addresses.add(tensor.packed.ctypes.data)
    # Two places for five layers.
    assert len(addresses) <= 2 * N_LAYERS
    assert len({address // 4096 for address in addresses}) < N_LAYERS


def test_the_next_layer_is_read_before_it_is_asked_for(model):
    with DirectLayers(model, least(model)) as source:
        source.layer(0)
        # Its place holds the finished read of the next one, without a call.
        held = dict(source._in_place.values())
        assert set(held) == {0, 1}
        assert source.layer(1) is held[1].result(timeout=10)


def test_a_failed_read_is_told_and_tried_again_in_other_memory(model, monkeypatch):
    with DirectLayers(model, least(model)) as source:
        source.layer(0)
        source._in_place[1][1].result(timeout=10)
        read, fails = source.reader.read, [True]

        def failing(group, memory):
            if fails.pop() if fails else False:
                raise StorageError("the device did not answer")
            return read(group, memory)

        monkeypatch.setattr(source.reader, "read", failing)
        source.layer(1)
        before = {place.ctypes.data for place in source._places}
        with pytest.raises(StorageError, match="did not answer"):
            source.layer(2)
        for name, tensor in source.layer(2).items():
            np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)
        assert {place.ctypes.data for place in source._places} != before


def test_no_descriptor_stays_behind(model):
    before = len(os.listdir("/dev/fd"))
    DirectLayers(model, least(model)).close()
    assert len(os.listdir("/dev/fd")) == before
