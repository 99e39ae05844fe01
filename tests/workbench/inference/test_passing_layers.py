"""Layers that pass: two places, packed as those that stay, in the order of their use."""

from contextlib import contextmanager

import numpy as np
import pytest

from kernels.interleave import N_ROWS, move_groups
from tests.workbench.inference.tiny_models import write_model
from workbench.inference.architecture import llama_config
from workbench.inference.packed_matrix import entries_of, packed_bytes
from workbench.inference.passing_layers import PLACES, PassingLayer, PassingLayers
from workbench.inference.weights import LlamaWeights, blank_jobs
from workbench.tiering.mmap_gguf import open_model

PARTS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
LAYERS = 6


class OneThread:
    """Packs alone, and counts how often others were sent to rest."""

    def __init__(self, jobs):
        self.jobs, self.rests = jobs, 0

    @contextmanager
    def resting(self):
        self.rests += 1
        yield

    def pack(self, n_jobs):
        for job in self.jobs[:n_jobs]:
            move_groups(job, 0, -(-job[N_ROWS] // 8))


@pytest.mark.parametrize("kind", ["Q4_1", "Q5_1"])
def test_each_is_packed_as_if_it_stayed_and_two_are_there(kind, tmp_path):
    with open_model(write_model(tmp_path, kind=kind, layers=LAYERS)) as model:
        weights = LlamaWeights(model, llama_config(model.header))
        numbers = [0, 2, 3, 5]
        infos = [
            [model.info(f"blk.{number}.{part}.weight") for part in PARTS] for number in numbers
        ]
        layers = [PassingLayer(*pair) for pair in zip(numbers, infos, strict=True)]
        jobs, told = blank_jobs(), []
        packers = OneThread(jobs)
        place_bytes = max(map(packed_bytes, infos))
        with PassingLayers(
            model, layers, place_bytes, jobs, lambda *entries: told.append(entries)
        ) as passing:
            for _ in range(2):
                passing.begin()
                told.clear()
                assert not passing.are_here(1)
                for stop in range(1, len(numbers) + 1):
                    passing.bring(stop, packers)
                    assert passing.are_here(stop)
                    for turn in range(max(stop - PLACES, 0), stop):
                        for info in infos[turn]:
                            np.testing.assert_array_equal(
                                passing._matrices[turn][info.name].memory,
                                weights.matrices[info.name].memory,
                            )
                assert [number for number, _ in told] == numbers
                for (_, entries), matrices in zip(told, passing._matrices, strict=True):
                    np.testing.assert_array_equal(entries, entries_of(matrices))
        weights.close()
