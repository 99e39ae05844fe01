"""Layers read in turn: what the file holds, over the end, past failures."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.inference.layer_stream import STAGED, LayerStream, staged_bytes
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.layers import group_tensors

LAYERS = 5


@pytest.fixture
def model(tmp_path):
    with open_model(write_model(tmp_path, kind="Q4_1", layers=LAYERS)) as model:
        yield model


def check_taken(model, stream, layer):
    for name, tensor in stream.take().items():
        assert name.startswith(f"blk.{layer}.")
        np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)
    stream.give_back()


def test_layers_come_in_turn_without_end(model):
    groups = group_tensors(model.header).layers
    with LayerStream(model, groups) as stream:
        for turn in range(2 * LAYERS + 1):
            check_taken(model, stream, turn % LAYERS)
        read = sum(groups[turn % LAYERS].page_bytes for turn in range(2 * LAYERS + 1))
        assert stream.read_bytes == read
        assert stream.waited_s > 0
    assert staged_bytes(groups) == max(group.page_bytes for group in groups)


def test_a_pass_that_was_left_begins_anew(model):
    with LayerStream(model, group_tensors(model.header).layers) as stream:
        stream.begin()
        for layer in (0, 1):
            check_taken(model, stream, layer)
        for _ in range(2):
            stream.begin()
            check_taken(model, stream, 0)


def test_fewer_layers_than_buffers(model):
    with LayerStream(model, group_tensors(model.header).layers[:1]) as stream:
        for _ in range(STAGED + 1):
            check_taken(model, stream, 0)


def test_what_cannot_be_read_is_told_and_tried_again(model, monkeypatch):
    with LayerStream(model, group_tensors(model.header).layers) as stream:
        check_taken(model, stream, 0)
        read, failures = stream._reader.read, []

        def failing(group, memory):
            if len(failures) < STAGED:
                failures.append(memory.ctypes.data)
                raise StorageError("the disk is gone")
            return read(group, memory)

        monkeypatch.setattr(stream._reader, "read", failing)
        # What is being read already comes first.
        for layer in range(1, STAGED + 1):
            check_taken(model, stream, layer)
        with pytest.raises(StorageError, match="the disk is gone"):
            stream.take()
        stream.begin()
        for layer in range(LAYERS):
            check_taken(model, stream, layer)


def test_closing_twice_is_harmless(model):
    stream = LayerStream(model, group_tensors(model.header).layers)
    stream.close()
    stream.close()
