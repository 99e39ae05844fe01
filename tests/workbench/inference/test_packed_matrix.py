"""Packing a matrix: by pieces as at once, the last group padded, jobs for the compiled step."""

import numpy as np
import pytest

from kernels.interleave import JOB_VALUES, N_ROWS, move_groups
from tests.workbench.inference.tiny_models import write_model
from workbench.inference.packed_matrix import (
    entries_of,
    n_rows,
    packed_bytes,
    placed,
    row_runs,
)
from workbench.tiering.mmap_gguf import open_model

KINDS = ["Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q6_K", "F16", "BF16", "F32"]


def packed(info, raw, step_bytes):
    memory = np.full(packed_bytes([info]), 0xA5, np.uint8)
    matrix = placed([info], memory)[info.name]
    row_bytes = info.n_bytes // n_rows(info)
    for rows in row_runs(info, step_bytes):
        matrix.pack(raw[rows.start * row_bytes : rows.stop * row_bytes], rows)
    return matrix


@pytest.mark.parametrize("kind", KINDS)
def test_runs_and_jobs_pack_as_the_whole_does(kind, tmp_path):
    with open_model(write_model(tmp_path, kind=kind, vocab=43)) as model:
        tensor = model.tensor("token_embd.weight")
        info, raw = tensor.info, tensor.packed
        whole = packed(info, raw, 1 << 30)
        assert len(row_runs(info, 1)) == len(whole.memory) == 6
        np.testing.assert_array_equal(packed(info, raw, 1).memory, whole.memory)
        # By two threads' jobs, onto what was there before.
        again = placed([info], np.full(packed_bytes([info]), 0x5A, np.uint8))[info.name]
        job = np.zeros(JOB_VALUES, np.int64)
        words = again.begin_job(raw, job)
        assert job[N_ROWS] == len(words) == 43
        move_groups(job, 4, 6)
        move_groups(job, 0, 4)
        np.testing.assert_array_equal(again.memory, whole.memory)


def test_matrices_follow_each_other_aligned(tmp_path):
    with open_model(write_model(tmp_path, kind="Q4_1", vocab=43)) as model:
        infos = [model.info(f"blk.0.{name}.weight") for name in ("attn_k", "ffn_up")]
    memory = np.zeros(packed_bytes(infos), np.uint8)
    matrices = placed(infos, memory)
    entries = entries_of(matrices)
    assert entries.shape == (2, 4)
    assert entries[0, 1] == memory.ctypes.data
    assert (entries[1, 1] - entries[0, 1]) % 64 == 0
    assert [tuple(entry) for entry in entries] == [one.entry for one in matrices.values()]
