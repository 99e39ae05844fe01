"""Residency: what mincore sees after reading ahead and letting go."""

import os
import sys
import time

import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.layers import Span, group_tensors
from workbench.tiering.mmap_gguf.residency import (
    read_only_what_is_touched,
    release,
    release_all,
    resident_bytes,
    wait_for,
    will_need,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets pages go")


@pytest.fixture
def model(disk_folder):
    file = Model(embedding=256, feed_forward=512, kind="F32", layers=3).file()
    path = file.write(disk_folder / "m.gguf")
    with path.open("rb") as written:
        os.fsync(written.fileno())
    with open_model(path) as model:
        yield model


def whole(model) -> list[Span]:
    return [Span(0, 0, model.header.file_bytes)]


def soon(condition) -> bool:
    """Return whether something becomes true; reads ahead take their time."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_a_layer_is_let_go_and_the_others_stay(model):
    layers = group_tensors(model.header).layers
    release_all(model)
    int(model.bytes_of(0).sum())
    size = Span(0, 0, model.header.file_bytes).widened().n_bytes
    assert resident_bytes(model, whole(model)) == size
    release(model, layers[1].spans)
    inside = [span.narrowed() for span in layers[1].spans]
    assert resident_bytes(model, inside) == 0
    assert resident_bytes(model, whole(model)) == size - sum(span.n_bytes for span in inside)


def test_what_was_let_go_reads_the_same_again(model):
    before = model.tensor("blk.1.ffn_up.weight").packed.copy()
    view = model.tensor("blk.1.ffn_up.weight").packed
    release_all(model)
    assert resident_bytes(model, whole(model)) == 0
    assert view.tobytes() == before.tobytes()


def test_a_layer_is_read_ahead_without_being_touched(model):
    layers = group_tensors(model.header).layers
    release_all(model)
    read_only_what_is_touched(model)
    will_need(model, layers[2].spans)
    wanted = layers[2].page_bytes
    assert soon(lambda: resident_bytes(model, layers[2].spans) == wanted)
    assert resident_bytes(model, [span.narrowed() for span in layers[0].spans]) == 0


def test_a_layer_larger_than_the_devices_read_ahead_is_read_whole(disk_folder):
    file = Model(embedding=1024, feed_forward=1024, kind="F32", layers=1).file()
    with open_model(file.write(disk_folder / "large.gguf")) as model:
        os.fsync(model.files[0].fd)
        (layer,) = group_tensors(model.header).layers
        assert layer.page_bytes > 20 << 20
        release_all(model)
        read_only_what_is_touched(model)
        will_need(model, layer.spans)
        assert soon(lambda: resident_bytes(model, layer.spans) == layer.page_bytes)


def test_waiting_brings_the_spans_and_no_more(model):
    layers = group_tensors(model.header).layers
    release_all(model)
    read_only_what_is_touched(model)
    will_need(model, layers[1].spans)
    wait_for(model, layers[1].spans)
    assert resident_bytes(model, layers[1].spans) == layers[1].page_bytes
    wait_for(model, layers[2].spans)
    assert resident_bytes(model, layers[2].spans) == layers[2].page_bytes
    assert resident_bytes(model, [span.narrowed() for span in layers[0].spans]) == 0


def test_without_read_ahead_a_touch_brings_its_page_alone(model):
    release_all(model)
    read_only_what_is_touched(model)
    assert resident_bytes(model, whole(model)) == 0
    int(model.tensor("blk.1.ffn_up.weight").packed[5000])
    assert resident_bytes(model, whole(model)) == os.sysconf("SC_PAGE_SIZE")
