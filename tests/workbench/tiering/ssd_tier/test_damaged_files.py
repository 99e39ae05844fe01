"""Files that were cut, removed, replaced or made links cost blocks, and never give wrong bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.torture.rot import filled, truncations
from tests.workbench.tiering.ssd_tier.store_helpers import (
    SMALL,
    answers,
    fill,
    key_of,
    open_small,
    real_store,
    sim_disk,
    value_of,
    wrong,
)
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.segments import FIRST_PAGE

SECTOR_BYTES = 512


def store(close: bool = True) -> tuple[SimDisk, dict[bytes, bytes], dict[bytes, tuple[str, int]]]:
    """Return a disk, its blocks, and the file and end of each block's frame."""
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 10, 7000)
    assert tier.flush()
    ends = {}
    for key in blocks:
        entry = tier._core.index.get(key)
        assert entry is not None
        end = entry.page * PAGE_BYTES + entry.n_bytes
        ends[key] = (f"segment-{entry.segment:05d}", end)
    if close:
        tier.close()
    return disk.reopened(), blocks, ends


@pytest.mark.parametrize("lose_index", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_a_segment_cut_at_any_page_keeps_what_lies_before_the_cut(
    number: int, lose_index: bool
) -> None:
    disk, blocks, ends = store()
    cut_file = f"segment-{number:05d}"
    for n_bytes in range(0, SMALL.segment_bytes, PAGE_BYTES):
        image = disk.reopened()
        image.truncate(cut_file, n_bytes)
        if lose_index:
            image.remove("index")
        tier = open_small(image, image)
        # Without its first page a segment may still be known by its last one, but that is cut too.
        keeps = n_bytes >= FIRST_PAGE * PAGE_BYTES
        for key, (name, end) in ends.items():
            expected = blocks[key] if name != cut_file or (keeps and end <= n_bytes) else None
            assert tier.get(key) == expected, (n_bytes, key[:4])
        tier.close()
        again = open_small(last := image.reopened(), last)
        assert wrong(again, blocks) == []


@pytest.mark.parametrize("lose_index", [False, True])
def test_every_file_of_the_smallest_store_cut_at_every_sector(lose_index: bool) -> None:
    config = replace(
        SMALL, capacity_bytes=5 * 8 * PAGE_BYTES, segment_bytes=8 * PAGE_BYTES, max_blocks=8
    )
    disk = sim_disk()
    tier = open_small(disk, disk, config)
    blocks = fill(tier, 4, 3000)
    tier.close()
    others = {
        name: {key for key in blocks if segment_of(tier, key) != name} for name in disk.names()
    }
    for name in disk.names():
        if lose_index and name == "index":
            continue
        for n_bytes in range(0, disk.size(name), SECTOR_BYTES):
            image = disk.reopened()
            image.truncate(name, n_bytes)
            if lose_index:
                image.remove("index")
            again = open_small(image, image, config)
            found = answers(again, blocks)
            assert wrong(again, blocks) == []
            assert all(found[key] == blocks[key] for key in others[name])


def segment_of(tier: SsdTier, key: bytes) -> str:
    entry = tier._core.index.get(key)
    assert entry is not None
    return f"segment-{entry.segment:05d}"


def test_every_file_with_overwritten_and_deleted_blocks_cut_at_every_page() -> None:
    verdicts = list(truncations(PAGE_BYTES))
    assert len(verdicts) > 150
    assert [verdict.wrong for verdict in verdicts if verdict.wrong] == []


def test_a_snapshot_cut_at_every_sector_costs_a_scan_and_no_block() -> None:
    disk, blocks, _ = store()
    for n_bytes in range(0, disk.size("index"), SECTOR_BYTES):
        image = disk.reopened()
        image.truncate("index", n_bytes)
        tier = open_small(image, image)
        assert answers(tier, blocks) == blocks
        assert tier.stats().counts.headers_scanned >= len(blocks)
        assert tier.check().sound


def test_a_store_with_every_file_empty_is_a_new_one() -> None:
    disk, blocks, _ = store()
    for name in disk.names():
        disk.truncate(name, 0)
    tier = open_small(disk, disk)
    assert set(answers(tier, blocks).values()) == {None}
    assert tier.put(key_of(1), b"again")
    assert tier.get(key_of(1)) == b"again"


def test_a_cut_segment_is_made_whole_before_it_takes_new_blocks() -> None:
    disk, blocks, _ = store()
    for name in disk.names():
        if name.startswith("segment"):
            disk.truncate(name, 6 * PAGE_BYTES)
    tier = open_small(disk, disk)
    for version in range(1, 12):
        newest = {key: value_of(n, version, 7000) for n, key in enumerate(blocks)}
        for key, value in newest.items():
            assert tier.put(key, value)
            assert tier.get(key) == value
    assert wrong(tier, newest) == []
    assert tier.check().sound
    segments = [name for name in disk.names() if name.startswith("segment")]
    assert {disk.size(name) for name in segments} == {SMALL.segment_bytes}


def test_a_file_cut_under_a_running_store_gives_misses_and_no_crash(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 12, 7000)
        for path in folder.glob("segment-*"):
            with path.open("r+b") as file:
                file.truncate(5 * PAGE_BYTES)
        found = answers(tier, blocks)
        assert all(value in (None, blocks[key]) for key, value in found.items())
        assert None in found.values()
        counts = tier.stats().counts
        assert counts.misses_failed + counts.misses_damaged == list(found.values()).count(None)
        again = answers(tier, blocks)
        assert again == found
        assert tier.stats().counts.misses_absent == list(found.values()).count(None)


def unlink(path: Path) -> None:
    path.unlink()


def replace_by_zeros(path: Path) -> None:
    path.with_name("other").write_bytes(bytes(path.stat().st_size))
    path.with_name("other").rename(path)


def replace_by_noise(path: Path) -> None:
    path.with_name("other").write_bytes(b"\xa5" * path.stat().st_size)
    path.with_name("other").rename(path)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to(path.with_name("other"))


def empty(path: Path) -> None:
    path.write_bytes(b"")


CHANGES = [unlink, replace_by_zeros, replace_by_noise, replace_by_link, empty]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("which", ["segment-*", "index"])
def test_files_changed_under_a_running_store_or_a_closed_one(
    disk_folder: Path, which: str, change: Callable[[Path], None]
) -> None:
    """The store says what it lost or refuses with a reason; it never makes anything up."""
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 6, 5000)
    with real_store(folder) as tier:
        path = sorted(folder.glob(which))[0]
        change(path)
        assert wrong(tier, blocks) == []
        tier.put(key_of(20), b"new")
        assert tier.get(key_of(20)) in (None, b"new")
        tier.flush()
    try:
        with real_store(folder) as tier:
            assert wrong(tier, blocks) == []
            assert tier.get(key_of(20)) in (None, b"new")
            refused = ""
    except StorageError as error:
        refused = str(error)
    assert refused == "" or path.name in refused


def test_without_any_file_a_running_store_goes_on(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 4)
        for path in folder.iterdir():
            path.unlink()
        assert answers(tier, blocks) == blocks
        assert not tier.check().sound
    with real_store(folder) as tier:
        assert set(answers(tier, blocks).values()) == {None}
        assert tier.check().sound


def test_two_segments_that_changed_places_are_refused(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        fill(tier, 6)
    first, second = folder / "segment-00000", folder / "segment-00001"
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)
    with pytest.raises(StorageError, match="segment-0000"), real_store(folder):
        pass


@pytest.mark.parametrize("clean", [True, False])
def test_bytes_of_one_file_copied_over_another_are_never_answers(clean: bool) -> None:
    disk, allowed = filled(clean=clean)
    names = [name for name in disk.names() if name.startswith("segment")]
    for source in names:
        for target in names:
            image = disk.reopened()
            # The headers of the target stay: only what lies between them is of the other file.
            inner = disk.content(source)[PAGE_BYTES:-PAGE_BYTES]
            image.rot(target, PAGE_BYTES, inner)
            tier = SsdTier.open(image, SMALL, image)
            for key, values in allowed.items():
                assert tier.get(key) in values | {None}
