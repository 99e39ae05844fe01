"""ModelMap: a model's tensors as views of its files, and refusals instead of other bytes."""

import mmap
import os
import shutil

import gguf
import numpy as np
import pytest

from tests.workbench.tiering.gguf_models import KINDS, Model, write_parts
from workbench.tiering.mmap_gguf import GGUFError, dequantized, open_model


@pytest.fixture
def path(tmp_path):
    return Model().file().write(tmp_path / "m.gguf")


def test_tensors_are_read_only_views_of_the_file(path):
    raw = path.read_bytes()
    with open_model(path) as model:
        for info in model.header.tensors:
            tensor = model.tensor(info.name)
            assert tensor.packed.tobytes() == raw[info.offset : info.offset + info.n_bytes]
            assert not tensor.packed.flags.writeable
            assert not tensor.packed.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            tensor.packed[0] = 1


@pytest.mark.parametrize("count", [2, 5])
def test_a_split_model_holds_the_same_tensors(tmp_path, path, count):
    first = write_parts(tmp_path, Model().parts(count))
    with open_model(path) as whole, open_model(first) as split:
        assert len(split.files) == count
        assert [t.name for t in split.header.tensors] == [t.name for t in whole.header.tensors]
        for info in whole.header.tensors:
            ours, theirs = split.tensor(info.name), whole.tensor(info.name)
            assert ours.shape == theirs.shape
            np.testing.assert_array_equal(ours.packed, theirs.packed)


def test_a_view_outlives_the_model(path):
    with open_model(path) as model:
        tensor = model.tensor("output_norm.weight")
        before = dequantized(tensor).copy()
    np.testing.assert_array_equal(dequantized(tensor), before)
    with pytest.raises(GGUFError, match="the model was closed"):
        model.mapping(0)
    model.close()


def test_an_unknown_tensor_is_named(path):
    with open_model(path) as model, pytest.raises(GGUFError, match=r"tensor blk\.9 is missing"):
        model.tensor("blk.9")


def test_a_closed_model_gives_nothing(path):
    model = open_model(path)
    model.close()
    with pytest.raises(GGUFError, match="the model was closed"):
        model.tensor("output_norm.weight")


def test_a_cut_file_is_refused_before_a_page_is_touched(path):
    with open_model(path) as model:
        size = model.header.file_bytes
        os.truncate(path, size - mmap.PAGESIZE)
        with pytest.raises(GGUFError, match="open the model again"):
            model.tensor("token_embd.weight")
        os.truncate(path, size)


def test_a_file_written_to_is_refused(path):
    with open_model(path) as model:
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"!")
        os.utime(path, ns=(0, 0))
        with pytest.raises(GGUFError, match="was written to"):
            model.tensor("token_embd.weight")


def test_a_file_put_in_its_place_changes_nothing(tmp_path, path):
    other = Model(seed=1).file().write(tmp_path / "other.gguf")
    with open_model(path) as model:
        before = model.tensor("token_embd.weight").packed.copy()
        os.replace(other, path)
        np.testing.assert_array_equal(model.tensor("token_embd.weight").packed, before)


def test_descriptors_are_given_back(tmp_path):
    path = write_parts(tmp_path, Model().parts(3))
    before = len(os.listdir("/dev/fd"))
    open_model(path).close()
    assert len(os.listdir("/dev/fd")) == before


def test_a_file_without_tensors_is_mapped_too(tmp_path):
    file = Model().file()
    file.tensors, file.data = [], b""
    with open_model(file.write(tmp_path / "m.gguf")) as model:
        assert model.header.tensors == ()
        assert model.bytes_of(0).nbytes == model.header.file_bytes


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_K", "Q5_K", "Q6_K", "Q5_0", "Q8_0"])
def test_values_of_a_mapped_tensor_are_the_gguf_packages(tmp_path, kind):
    model_file = Model(kind=kind, embedding=256, feed_forward=256).file()
    path = model_file.write(tmp_path / "m.gguf")
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    with open_model(path) as model:
        for info in model.header.tensors:
            tensor = model.tensor(info.name)
            other = theirs[info.name]
            assert int(other.tensor_type) == KINDS[info.ggml_type.name]
            expected = gguf.quants.dequantize(other.data, other.tensor_type)
            got = dequantized(tensor)
            assert got.shape == expected.shape
            np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


def test_a_copy_of_one_part_under_a_linked_name_is_read(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    first = write_parts(store, Model().parts(2), "blob")
    links = tmp_path / "links"
    links.mkdir()
    for number in (1, 2):
        (links / f"n-{number:05d}-of-00002.gguf").symlink_to(
            first.with_name(f"blob-{number:05d}-of-00002.gguf")
        )
    with open_model(links / "n-00001-of-00002.gguf") as model:
        assert len(model.header.tensors) == len(Model().all_tensors())
    shutil.rmtree(store)
