"""A pass moves every byte of its workload, from another sequence each time, and proves it once."""

import os

import numpy as np
import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import restore_workloads
from workbench.benchmark.storage.restore_pass import Place, RestorePass
from workbench.benchmark.storage.restore_variants import ladder, opened
from workbench.benchmark.storage.restore_workloads import BLOCK_BYTES
from workbench.tiering.async_io.buffers import huge_buffer

VARIANTS = {one.name: one for one in ladder(512, 8)}


@pytest.fixture
def place(disk_folder):
    sequence, written = disk_folder / "sequence", disk_folder / "written"
    sequence.write_bytes(np.random.default_rng(0).bytes(4 * BLOCK_BYTES))
    written.write_bytes(bytes(4 * BLOCK_BYTES))
    files = {"sequence": sequence, "written": written}
    payload = huge_buffer(BLOCK_BYTES)
    payload[:] = os.urandom(BLOCK_BYTES)
    return Place(files, huge_buffer(2 * BLOCK_BYTES), payload, (0, 2 * BLOCK_BYTES))


@pytest.mark.parametrize("name", ["synchronous", "queue_depth", "read_ahead", "whole_plan"])
@pytest.mark.parametrize(
    "workload",
    [
        restore_workloads.sequential(2),
        restore_workloads.random_blocks(2, np.random.default_rng(1)),
        restore_workloads.mixed(2),
        restore_workloads.scattered(2 * BLOCK_BYTES, np.random.default_rng(2)),
    ],
    ids=lambda one: one.name,
)
def test_every_variant_restores_every_workload(place, workload, name):
    with opened(VARIANTS[name], place.memory) as system:
        one = RestorePass(workload, VARIANTS[name], system, place)
        one.verify()
        assert one.run() > 0
        assert [watch.name for watch in one.watches] == [f"{workload.name}: sequence"]
    content = place.files["sequence"].read_bytes()
    first = workload.reads[0]
    # The third pass is the first sequence's again.
    assert place.memory[: first.n_bytes] == content[first.offset :][: first.n_bytes]
    if workload.name == "mixed":
        written = place.files["written"].read_bytes()
        assert written[:BLOCK_BYTES] == written[2 * BLOCK_BYTES :][:BLOCK_BYTES] == place.payload


def test_passes_take_turns_between_the_sequences(place):
    workload = restore_workloads.sequential(2)
    content = place.files["sequence"].read_bytes()
    with opened(VARIANTS["queue_depth"], place.memory) as system:
        one = RestorePass(workload, VARIANTS["queue_depth"], system, place)
        for begin in (0, 2, 0):
            one.run()
            assert place.memory == content[begin * BLOCK_BYTES :][: 2 * BLOCK_BYTES]


def test_wrong_bytes_are_found_out(place, monkeypatch):
    workload = restore_workloads.sequential(2)
    with opened(VARIANTS["queue_depth"], place.memory) as system:
        one = RestorePass(workload, VARIANTS["queue_depth"], system, place)
        move = system.move

        def rot(reads, writes):
            move(reads, writes)
            place.memory[BLOCK_BYTES - 1] ^= reads[0].offset == 0

        monkeypatch.setattr(system, "move", rot)
        with pytest.raises(MediumError, match="other bytes came back at 0 of the sequence file"):
            one.verify()
