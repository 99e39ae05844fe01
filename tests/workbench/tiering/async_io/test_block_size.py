"""The sweep chooses by its own rule, remembers by device, and never trusts a damaged memory."""

import json

import numpy as np
import pytest

from workbench.tiering.async_io.block_size import Sweep, choose_block_size, smallest_good
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine

QUICK = Sweep(depth=2, sizes=(4096, 16384, 65536), rounds=1, round_ms=1)


@pytest.fixture
def path(disk_folder):
    path = disk_folder / "f"
    path.write_bytes(np.random.default_rng(0).bytes(1 << 20))
    return path


def memories(folder):
    return sorted(folder.glob("block-size-*.json"))


def test_a_real_device_is_measured_once_and_remembered(path, tmp_path):
    with SynchronousEngine() as engine:
        found = choose_block_size(engine, path, tmp_path / "kept", "disk a", sweep=QUICK)
        assert found.measured
        assert found.note == ""
        assert tuple(found.gb_s) == QUICK.sizes
        assert found.block_bytes == smallest_good(found.gb_s)
        reads = engine.stats().reads
        again = choose_block_size(engine, path, tmp_path / "kept", "disk a", sweep=QUICK)
        assert (again.block_bytes, again.measured) == (found.block_bytes, False)
        assert again.gb_s.keys() == found.gb_s.keys()
        assert engine.stats().reads == reads
        assert not list((tmp_path / "kept").glob(".writing*"))


@pytest.mark.parametrize(
    ("gb_s", "chosen"),
    [
        ({4096: 0.3, 16384: 0.949, 65536: 1.0}, 65536),
        ({4096: 0.3, 16384: 0.951, 65536: 1.0}, 16384),
        ({65536: 0.9, 4096: 1.0, 16384: 0.8}, 4096),
        ({4096: 0.0}, 4096),
    ],
)
def test_the_smallest_size_that_is_as_good_is_taken(gb_s, chosen):
    assert smallest_good(gb_s) == chosen


def test_each_device_engine_and_sweep_has_its_own_answer(path, tmp_path):
    with SynchronousEngine() as direct, ThreadEngine(depth=2) as threads:
        for engine in (direct, threads):
            choose_block_size(engine, path, tmp_path, "disk a", sweep=QUICK)
        choose_block_size(direct, path, tmp_path, "disk b", sweep=QUICK)
        deeper = Sweep(depth=3, sizes=QUICK.sizes, rounds=1, round_ms=1)
        assert choose_block_size(direct, path, tmp_path, "disk a", sweep=deeper).measured
    assert len(memories(tmp_path)) == 4


def test_it_is_measured_again_when_asked(path, tmp_path):
    with SynchronousEngine() as engine:
        for again in (False, True):
            found = choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK, again=again)
            assert found.measured
    assert len(memories(tmp_path)) == 1


def test_no_damaged_memory_is_trusted(path, tmp_path):
    with SynchronousEngine() as engine:
        choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK)
        (kept,) = memories(tmp_path)
        good = kept.read_bytes()
        answer = json.loads(good)
        answer["content"]["facts"][0] = 99
        damaged = [b"", b"{", b"[]", b"null", good[:-3], json.dumps(answer).encode(), b"\xff\xfe"]
        rng = np.random.default_rng(0)
        for _ in range(40):
            flipped = bytearray(good)
            flipped[int(rng.integers(len(good)))] ^= 1 << int(rng.integers(8))
            damaged.append(bytes(flipped))
        for content in damaged:
            kept.write_bytes(content)
            found = choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK)
            # White space may change without harm; whatever else did is measured anew.
            try:
                harmless = json.loads(content) == json.loads(good)
            except ValueError:
                harmless = False
            assert found.measured != harmless
            assert not choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK).measured


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(path, tmp_path):
    (tmp_path / "kept").write_text("a file where the folder should be")
    with SynchronousEngine() as engine:
        found = choose_block_size(engine, path, tmp_path / "kept", "disk", sweep=QUICK)
    assert found.measured
    assert found.note.startswith("not remembered: ")
    assert "File exists" in found.note


def test_sizes_that_a_file_is_too_small_for_are_left_out(disk_folder, tmp_path):
    path = disk_folder / "small"
    path.write_bytes(bytes(65536))
    with SynchronousEngine() as engine:
        found = choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK)
        assert tuple(found.gb_s) == (4096, 16384)
        path.write_bytes(bytes(4096))
        with pytest.raises(StorageError, match="has 4096 bytes; the sweep needs 16384"):
            choose_block_size(engine, path, tmp_path, "disk", sweep=QUICK, again=True)


@pytest.mark.parametrize(
    "options", [{"depth": 0}, {"sizes": ()}, {"sizes": (5000,)}, {"rounds": 0}]
)
def test_sweeps_out_of_range_are_refused(options):
    with pytest.raises(StorageError, match="must"):
        Sweep(**options)
