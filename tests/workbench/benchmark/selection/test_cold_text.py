"""Cold texts: only the ends are in memory, the same each time, and every value comes back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.selection import real_text
from workbench.benchmark.selection.cold_text import ColdLayout, stored
from workbench.inference.llama import LlamaModel


@pytest.mark.parametrize("layout", [ColdLayout(16, 1, recent_tokens=32), ColdLayout(32, 2, "int8")])
def test_only_the_ends_are_hot_and_the_rest_comes_from_the_device(tmp_path, disk_folder, layout):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(480))
        with stored(model, disk_folder / "one", layout, text) as cold:
            for _ in range(2):
                with cold.open() as sequence:
                    numbers = sequence.cold_blocks()
                    n_blocks = 480 // layout.block_tokens
                    assert numbers[0] == 1
                    assert numbers[-1] < n_blocks - layout.recent_tokens // layout.block_tokens
                    assert len(numbers) == n_blocks - cold.hot_blocks + 1
                    before = cold.read_bytes
                    k, _ = sequence.gather(1, 0, 480)
                    # Frames of whole pages, and a page of header for each.
                    frame = sequence.layout.frame_bytes + 4096
                    assert cold.read_bytes - before == len(numbers) * frame
                    near = 0.02 if layout.dtype == "int8" else 0
                    np.testing.assert_allclose(k, text.k[1], atol=near)


def test_recent_tokens_stay_hot_while_the_text_grows(tmp_path, disk_folder):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(320))
        layout = ColdLayout(16, 1, recent_tokens=32)
        with stored(model, disk_folder / "one", layout, text) as cold, cold.open() as sequence:
            for one in ids(40, 1):
                model.forward([one], sequence)
                is_hot = np.ones(sequence.n_blocks, bool)
                is_hot[sequence.cold_blocks()] = False
                assert is_hot[[0, -1, -2]].all()


def test_summaries_are_of_the_whole_text(tmp_path, disk_folder):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(100))
        with stored(model, disk_folder / "one", ColdLayout(16, 1), text) as cold:
            found = cold.summaries("bounds")
            assert (found.n_blocks, found.n_tokens(1)) == (6, 100)
