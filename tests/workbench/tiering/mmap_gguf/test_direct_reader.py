"""DirectReader: whole pages around a group, the file's odd end, and no other file's bytes."""

import mmap
import os

import numpy as np
import pytest

from tests.workbench.tiering.gguf_models import Model, write_parts
from workbench.tiering.memory import allocate
from workbench.tiering.mmap_gguf import GGUFError, open_model
from workbench.tiering.mmap_gguf.direct_reader import DirectReader
from workbench.tiering.mmap_gguf.layers import Group, Span, group_tensors


@pytest.fixture
def model(disk_folder):
    with open_model(write_parts(disk_folder, Model(kind="Q8_0").parts(2))) as model:
        yield model


def test_every_group_is_read_whole_to_the_files_last_byte(model):
    groups = group_tensors(model.header)
    assert any(file.file_bytes % 4096 for file in model.files)
    with DirectReader(model) as reader:
        for group in (*groups.layers, groups.rest):
            tensors = reader.read(group, allocate(group.page_bytes))
            assert set(tensors) == {info.name for info in group.tensors}
            for name, tensor in tensors.items():
                np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)
        stats = reader.stats()
        assert stats.errors == 0
        assert stats.read_bytes % 4096 == 0


def test_large_groups_go_in_requests_of_a_mebibyte(disk_folder):
    big = Model(embedding=512, feed_forward=1024, kind="F32", layers=1)
    with open_model(big.file().write(disk_folder / "big.gguf")) as model:
        group = group_tensors(model.header).layers[0]
        assert group.page_bytes > 8 << 20
        with DirectReader(model, depth=4) as reader:
            tensors = reader.read(group, allocate(group.page_bytes))
            assert reader.stats().reads >= group.page_bytes >> 20
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor.packed, model.tensor(name).packed)


def test_a_group_without_tensors_reads_nothing(model):
    with DirectReader(model) as reader:
        assert reader.read(Group((), ()), allocate(0)) == {}
        assert reader.stats().submitted == 0


def test_a_span_behind_the_last_whole_page_is_read_too(model):
    file = model.files[1]
    start = file.file_bytes // 4096 * 4096
    memory = allocate(mmap.PAGESIZE)
    with DirectReader(model) as reader:
        reader.read(Group((), (Span(1, start, file.file_bytes),)), memory)
        assert reader.stats().submitted == 0
    size = file.file_bytes - start
    np.testing.assert_array_equal(memory[:size], model.bytes_of(1)[start:])


def test_another_file_in_its_place_is_refused(model):
    path = model.files[0].path
    before = len(os.listdir("/dev/fd"))
    os.replace(path, path.with_suffix(".old"))
    path.write_bytes(path.with_suffix(".old").read_bytes())
    with pytest.raises(GGUFError, match="is another file than when the model was opened"):
        DirectReader(model)
    assert len(os.listdir("/dev/fd")) == before


def test_a_file_written_to_is_refused(model):
    group = group_tensors(model.header).layers[0]
    with DirectReader(model) as reader:
        os.utime(model.files[0].path, ns=(0, 0))
        with pytest.raises(GGUFError, match="was written to"):
            reader.read(group, allocate(group.page_bytes))
