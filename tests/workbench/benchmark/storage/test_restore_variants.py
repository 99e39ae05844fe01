"""Each variant differs from the one before in one part, and opens what it says."""

from dataclasses import fields
from itertools import pairwise

import pytest

from workbench.benchmark.storage.restore_variants import (
    WHAT,
    WHOLE_PLAN,
    Variant,
    baseline_of,
    ladder,
    opened,
    parts_alone,
    variants_for,
)
from workbench.tiering.async_io.buffers import aligned_buffer, huge_buffer
from workbench.tiering.async_io.engine import Request, StorageError

LADDER = ladder(256, 32)


def differing(one: Variant, other: Variant) -> set[str]:
    names = {field.name for field in fields(one)} - {"name"}
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def test_every_rung_of_the_ladder_adds_one_part():
    names = [one.name for one in LADDER]
    rungs = LADDER[: names.index(WHOLE_PLAN)]
    added = [differing(a, b) for a, b in pairwise(rungs)]
    assert added == [
        {"block_kib"},
        {"depth"},
        {"scheduler", "merge"},
        {"huge"},
        {"registered"},
        {"read_ahead"},
    ]


def test_parts_alone_differ_from_the_plain_engine_or_scheduler_by_one_part():
    plain, scheduler, merging, ahead, huge, again = parts_alone(32)
    assert differing(plain, scheduler) == {"scheduler"}
    assert differing(scheduler, merging) == {"merge"}
    assert differing(scheduler, ahead) == {"read_ahead"}
    assert differing(plain, huge) == {"huge"}
    assert differing(plain, again) == set()


@pytest.mark.parametrize("workload", ["sequential", "scattered"])
def test_the_baseline_is_measured_first_and_all_are_explained(workload):
    variants = variants_for(workload, 256, 32)
    assert variants[0].name == baseline_of(workload)
    assert {one.name for one in variants} <= set(WHAT)
    assert len({one.name for one in variants}) == len(variants)


@pytest.mark.parametrize("variant", LADDER, ids=lambda one: one.name)
def test_every_variant_reads_and_writes_back(disk_folder, variant):
    content = bytes(range(256)) * 16
    path = disk_folder / "file"
    path.write_bytes(content * 4)
    memory = (huge_buffer if variant.huge else aligned_buffer)(2 * 4096)
    payload = aligned_buffer(4096)
    with opened(variant, memory) as system:
        assert (system.engine.kind == "synchronous") == (variant.depth == 1)
        file = system.engine.open(path)
        reads = [Request("read", file, i * 4096, memory[i * 4096 :][:4096]) for i in range(2)]
        system.move(reads, [Request("write", file, 3 * 4096, payload)])
        system.finish()
    assert memory == content * 2
    assert path.read_bytes() == content * 3 + bytes(4096)


@pytest.mark.parametrize("variant", [LADDER[0], LADDER[3]], ids=lambda one: one.name)
def test_a_failed_read_is_raised(disk_folder, variant):
    path = disk_folder / "file"
    path.write_bytes(bytes(4096))
    memory = aligned_buffer(4096)
    with opened(variant, memory) as system:
        file = system.engine.open(path)
        with pytest.raises(StorageError):
            system.move([Request("read", file, 1 << 20, memory)], [])


def test_a_failed_write_back_is_raised_at_the_end(disk_folder):
    path = disk_folder / "file"
    path.write_bytes(bytes(4096))
    with opened(LADDER[3], aligned_buffer(4096)) as system:
        file = system.engine.open(path, writable=False)
        system.move([], [Request("write", file, 0, aligned_buffer(4096))])
        with pytest.raises(StorageError):
            system.finish()
