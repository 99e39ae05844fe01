"""A model's weights in memory: everything once, aligned, in the order of its use."""

from pathlib import Path

import numpy as np
import pytest

from kernels.llama_plan import ADDRESS, GROUPS, LAYOUT, ROW_VALUES
from tests.workbench.inference.tiny_models import EMBEDDING, reference, write_model
from workbench.errors import UsageError
from workbench.inference.architecture import llama_config
from workbench.inference.weights import LlamaWeights, padded
from workbench.tiering import memory
from workbench.tiering.mmap_gguf import open_model


@pytest.fixture
def qwen2(tmp_path):
    return write_model(tmp_path, "qwen2", vocab=43)


def loaded(path, threads=1):
    with open_model(path) as model:
        return LlamaWeights(model, llama_config(model.header), threads)


def test_matrices_follow_each_other_and_end_padded(qwen2):
    weights = loaded(qwen2)
    addresses = [matrix.entry[ADDRESS] for matrix in weights.matrices.values()]
    assert addresses == sorted(addresses)
    assert all(address % 64 == 0 for address in addresses)
    last = weights.matrices["output.weight"]
    assert len(last.memory) == 6  # 43 rows
    rows = last.memory.view(np.float32).reshape(6, EMBEDDING, 8).transpose(0, 2, 1)
    rows = rows.reshape(48, EMBEDDING)
    np.testing.assert_array_equal(rows[:43], reference(qwen2).weights["output.weight"])
    assert not rows[43:].any()


def test_layers_know_their_matrices_and_vectors(qwen2):
    weights = loaded(qwen2)
    layer = weights.layers[1]
    matrix = weights.matrices["blk.1.ffn_down.weight"]
    assert tuple(layer.down) == matrix.entry
    assert layer.down[GROUPS] == EMBEDDING // 8
    assert layer.down[ROW_VALUES] == 256
    assert layer.down[LAYOUT] == matrix.layout.number
    assert layer.key_bias == weights.vector_address("blk.1.attn_k.bias")
    assert layer.attention_norm == weights.vector_address("blk.1.attn_norm.weight")


def test_no_biases_are_address_zero(tmp_path):
    layers = loaded(write_model(tmp_path, "llama")).layers
    assert {int(layer[name]) for layer in layers for name in ("query_bias", "key_bias")} == {0}


def test_threads_pack_the_same(tmp_path):
    path = write_model(tmp_path, kind="Q4_K")
    one, three = loaded(path), loaded(path, 3)
    for name, matrix in one.matrices.items():
        np.testing.assert_array_equal(three.matrices[name].memory, matrix.memory)


def test_vectors_are_padded_with_zeros(tmp_path):
    weights = loaded(write_model(tmp_path, embedding=48, feed_forward=24))
    vector = weights.vectors["output_norm.weight"]
    assert len(vector) == padded(48) == 64
    assert not vector[48:].any()


def test_more_than_memory_is_refused(tmp_path, monkeypatch):
    def refuse(need_bytes, purpose, fix):
        raise UsageError(f"{purpose} needs {need_bytes} bytes; {fix}")

    monkeypatch.setattr(memory, "require_memory", refuse)
    with pytest.raises(UsageError, match=r"the weights of llama-F32\.gguf needs \d{6,} bytes"):
        loaded(write_model(tmp_path))


def test_the_files_pages_do_not_stay_beside_the_packed_ones(tmp_path):
    path = write_model(tmp_path, kind="Q8_0", vocab=20_000)
    with open_model(path) as model:
        LlamaWeights(model, llama_config(model.header), 2)
        # Linux's own count of this mapping's pages in this process.
        maps = Path("/proc/self/smaps")
        if maps.exists():
            mapping = maps.read_text().split(path.name, 1)[1]
            resident_kib = int(mapping.split("Rss:", 1)[1].split()[0])
            assert resident_kib * 1024 < path.stat().st_size / 4
