"""group_tensors(): each layer's tensors and bytes, the rest apart, pages widened and narrowed."""

import mmap

import pytest

from tests.workbench.tiering.gguf_models import Model, write_parts
from workbench.tiering.mmap_gguf import GGUFError, open_model
from workbench.tiering.mmap_gguf.layers import Group, Span, group_tensors

PAGE = mmap.PAGESIZE


def groups_of(path):
    with open_model(path) as model:
        return model.header, group_tensors(model.header)


def test_every_tensor_is_in_one_group(tmp_path):
    header, groups = groups_of(Model(layers=3, tied=False).file().write(tmp_path / "m.gguf"))
    assert len(groups.layers) == 3
    for number, group in enumerate(groups.layers):
        assert len(group.tensors) == 9
        assert all(tensor.name.startswith(f"blk.{number}.") for tensor in group.tensors)
    names = {tensor.name for tensor in groups.rest.tensors}
    assert names == {"token_embd.weight", "output_norm.weight", "output.weight"}
    assert len(header.tensors) == 3 * 9 + 3


def test_spans_cover_every_tensor_and_join_neighbours(tmp_path):
    _, groups = groups_of(Model().file().write(tmp_path / "m.gguf"))
    for group in (*groups.layers, groups.rest):
        for tensor in group.tensors:
            assert any(
                span.start <= tensor.offset and tensor.offset + tensor.n_bytes <= span.stop
                for span in group.spans
            )
    assert [len(group.spans) for group in groups.layers] == [1, 1]


def test_a_layer_in_two_files_has_two_spans(tmp_path):
    _, groups = groups_of(write_parts(tmp_path, Model().parts(3)))
    assert sorted({span.part for group in groups.layers for span in group.spans}) == [0, 1, 2]
    assert max(len(group.spans) for group in groups.layers) == 2


def test_pages_around_and_inside():
    span = Span(0, PAGE - 1, 3 * PAGE + 1)
    assert span.n_bytes == 2 * PAGE + 2
    assert span.widened() == Span(0, 0, 4 * PAGE)
    assert span.narrowed() == Span(0, PAGE, 3 * PAGE)
    assert Span(0, 1, 2).narrowed().n_bytes == 0
    assert Group((), (span, Span(1, 0, 1))).page_bytes == 5 * PAGE


def test_a_missing_layer_is_named(tmp_path):
    changes = {name: None for name in Model().all_tensors() if name.startswith("blk.0.")}
    path = Model(tensors=changes).file().write(tmp_path / "m.gguf")
    with pytest.raises(GGUFError, match="layer 0 has no tensor, higher ones have"):
        groups_of(path)


def test_a_vocabulary_alone_has_no_layers(tmp_path):
    file = Model().file()
    file.tensors, file.data = [], b""
    _, groups = groups_of(file.write(tmp_path / "m.gguf"))
    assert groups.layers == ()
    assert groups.rest.page_bytes == 0
