"""Workloads ask for whole pages, in the order they say, and no byte twice."""

from dataclasses import replace

import numpy as np
import pytest

from tests.workbench.tiering.gguf_files import tensor, tiny_llama
from workbench.benchmark.storage import restore_workloads
from workbench.benchmark.storage.restore_workloads import BLOCK_BYTES, Extent, shifted
from workbench.tiering.mmap_gguf import read_header

RNG = np.random.default_rng(0)


def test_an_extent_is_cut_into_blocks_and_a_rest():
    pieces = Extent("sequence", 4096, 20 * 4096).pieces(8 * 4096)
    assert [(one.offset, one.n_bytes) for one in pieces] == [
        (4096, 8 * 4096),
        (9 * 4096, 8 * 4096),
        (17 * 4096, 4 * 4096),
    ]


def test_a_block_is_64_tokens_of_the_real_model():
    assert BLOCK_BYTES == 64 * 23_040


def test_sequences_are_read_whole_in_order_or_at_random():
    in_order = restore_workloads.sequential(5)
    at_random = restore_workloads.random_blocks(5, RNG)
    assert [one.offset for one in in_order.reads] == [i * BLOCK_BYTES for i in range(5)]
    assert sorted(at_random.reads, key=lambda one: one.offset) == in_order.reads
    assert at_random.reads != in_order.reads
    assert in_order.n_bytes == 5 * BLOCK_BYTES
    assert (in_order.random, at_random.random) == (False, True)


def test_a_mixed_restore_writes_one_block_for_three():
    workload = restore_workloads.mixed(6)
    writes = [one for step in workload.steps for one in step.writes]
    assert len(workload.reads) == 6
    assert [one.file for one in writes] == ["written", "written"]
    assert workload.n_bytes == 8 * BLOCK_BYTES
    assert workload.writes_percent == 25
    assert workload.files == {"sequence"}


def test_a_model_is_loaded_tensor_by_tensor_in_whole_pages_without_overlap(tmp_path):
    path = tmp_path / "model.gguf"
    file = tiny_llama()
    file.tensors = [
        tensor("small", (32, 2), 0, 0),
        tensor("large", (4096, 4), 0, 256),
        tensor("behind", (64, 3), 3, 256 + 65536),
    ]
    file.data_bytes = 256 + 65536 + 120 + 8192
    header = read_header(file.write(path))
    workload = restore_workloads.model_load(header, header.file_bytes)
    assert len(workload.steps) in {2, 3}
    end = 0
    for extent in workload.reads:
        assert extent.offset % 4096 == extent.n_bytes % 4096 == 0
        assert extent.offset >= end
        end = extent.offset + extent.n_bytes
    last = header.tensors[-1]
    assert end >= last.offset + last.n_bytes
    assert end <= header.file_bytes


def test_of_a_large_model_only_the_end_is_loaded(tmp_path):
    path = tmp_path / "model.gguf"
    tiny_llama().write(path)
    header = replace(read_header(path), file_bytes=path.stat().st_size + (1 << 30))
    assert restore_workloads.model_load(header, 4096).reads == []


def test_scattered_reads_are_no_neighbours():
    workload = restore_workloads.scattered(16 * BLOCK_BYTES, RNG)
    offsets = sorted(one.offset for one in workload.reads)
    assert len(offsets) == len(set(offsets)) == 16 * BLOCK_BYTES // (64 << 10)
    assert min(np.diff(offsets)) >= 64 << 10
    assert {len(step.reads) for step in workload.steps[:-1]} == {64}
    assert workload.largest_kib == 16


@pytest.mark.parametrize(("file", "offset"), [("sequence", 4096 + 8192), ("model", 4096)])
def test_only_sequences_have_another_one_behind_them(file, offset):
    assert shifted([Extent(file, 4096, 4096)], 8192) == [Extent(file, offset, 4096)]
