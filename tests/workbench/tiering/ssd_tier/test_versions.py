"""A store of another format version is refused, with the versions and the fix, and not touched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL,
    answers,
    fill,
    open_small,
    real_store,
    sha256_of,
    sim_disk,
)
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier, StoreVersionError
from workbench.tiering.ssd_tier.checksum import header_sum
from workbench.tiering.ssd_tier.frame import FORMAT_VERSION, HEADER_BYTES

OLDER, NEWER = FORMAT_VERSION - 1, FORMAT_VERSION + 1
_VERSION_AT = 8


def restamped(page: bytes, version: int) -> bytes:
    """Return a header as another version would have written it: its own number, a right sum."""
    raw = page[:_VERSION_AT] + version.to_bytes(4, "little") + page[_VERSION_AT + 4 :]
    raw = raw[: HEADER_BYTES - 8]
    return raw + header_sum(raw).to_bytes(8, "little")


def stamp_file(content: bytes, version: int, both: bool = True) -> bytes:
    """Return a file whose first page, and last if it has a header too, is of another version."""
    changed = bytearray(content)
    changed[:HEADER_BYTES] = restamped(content[:PAGE_BYTES], version)
    if both:
        last = len(content) - PAGE_BYTES
        changed[last : last + HEADER_BYTES] = restamped(content[last:], version)
    return bytes(changed)


def store() -> tuple[SimDisk, dict[bytes, bytes]]:
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 6)
    tier.close()
    return disk.reopened(), blocks


def all_files(disk: SimDisk, version: int) -> None:
    for name in disk.names():
        disk.rot(name, 0, stamp_file(disk.content(name), version, both=name != "index"))


def the_index(disk: SimDisk, version: int) -> None:
    disk.rot("index", 0, stamp_file(disk.content("index"), version, both=False))


def all_segments(disk: SimDisk, version: int) -> None:
    disk.remove("index")
    all_files(disk, version)


def one_segment(disk: SimDisk, version: int) -> None:
    disk.rot("segment-00002", 0, stamp_file(disk.content("segment-00002"), version))


def one_header_of_two(disk: SimDisk, version: int) -> None:
    disk.rot("segment-00002", 0, stamp_file(disk.content("segment-00002"), version, both=False))


STAMPS = [all_files, the_index, all_segments, one_segment, one_header_of_two]


@pytest.mark.parametrize("version", [OLDER, NEWER, 0xFFFFFFFF])
@pytest.mark.parametrize("stamp", STAMPS)
def test_another_version_is_refused_and_every_byte_stays(
    stamp: Callable[[SimDisk, int], None], version: int
) -> None:
    disk, _ = store()
    stamp(disk, version)
    before = sha256_of(disk)
    with pytest.raises(StoreVersionError) as refused:
        open_small(disk, disk)
    assert sha256_of(disk) == before
    error = refused.value
    assert (error.found, error.supported) == (version, FORMAT_VERSION)
    assert error.file in disk.names()
    assert isinstance(error, StorageError)
    told = str(error)
    assert told.startswith(error.file)
    assert f"version {version}," in told
    assert f"reads version {FORMAT_VERSION}" in told
    fix = "update the workbench" if version > FORMAT_VERSION else "use the version that wrote it"
    assert fix in told
    assert "remove the folder" in told


def test_the_refusal_is_no_dead_end() -> None:
    disk, blocks = store()
    now = disk.content("index")
    the_index(disk, NEWER)
    with pytest.raises(StoreVersionError):
        open_small(disk, disk)
    disk.rot("index", 0, now)
    assert answers(open_small(disk, disk), blocks) == blocks


def test_a_damaged_version_is_damage_and_no_other_version() -> None:
    disk, blocks = store()
    disk.rot("index", _VERSION_AT, NEWER.to_bytes(4, "little"))
    disk.rot("segment-00002", _VERSION_AT, NEWER.to_bytes(4, "little"))
    assert answers(open_small(disk, disk), blocks) == blocks


def test_frames_of_another_version_are_not_read_as_blocks() -> None:
    disk, blocks = store()
    disk.remove("index")
    name = "segment-00000"
    content = disk.content(name)
    assert content[PAGE_BYTES : PAGE_BYTES + 7] == b"WBFRAME"
    frame = restamped(content[PAGE_BYTES : 2 * PAGE_BYTES], NEWER)
    disk.rot(name, PAGE_BYTES, frame)
    tier = open_small(disk, disk)
    found = answers(tier, blocks)
    assert list(found.values()).count(None) == 1
    assert all(value in (None, blocks[key]) for key, value in found.items())


@pytest.mark.parametrize("version", [OLDER, NEWER])
def test_a_real_folder_is_refused_untouched_and_unlocked(disk_folder: Path, version: int) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 4)
    current = {path: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    for path, content in current.items():
        path.write_bytes(stamp_file(content, version, both=path.name != "index"))
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in current}
    with SynchronousEngine() as engine:
        for _ in range(2):
            with pytest.raises(StoreVersionError, match=f"version {version}"):
                SsdTier.open(folder, REAL, engine)
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in current} == before
    assert {path.name for path in folder.iterdir()} == {path.name for path in current} | {"lock"}
    for path, content in current.items():
        path.write_bytes(content)
    with real_store(folder) as tier:
        assert answers(tier, blocks) == blocks
