"""A table's files live as long as somebody uses them, and not longer."""

import os

import pytest

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.files import FileTable, direct_proof


@pytest.fixture
def path(disk_folder):
    path = disk_folder / "file"
    path.write_bytes(bytes(4096))
    return path


@pytest.fixture
def table():
    table = FileTable(direct=False)
    yield table
    table.close()


def is_open(fd: int) -> bool:
    return os.path.exists(f"/dev/fd/{fd}")


def test_a_borrowed_file_stays_open_until_its_last_user_is_done(table, path):
    handle = table.open(path)
    fd = table.get(handle).fd
    first, second = table.borrow([handle, 77]), table.borrow([handle])
    assert list(first) == [handle]
    table.forget(handle)
    assert table.borrow([handle]) == {}
    assert is_open(fd)
    table.give_back(first.values())
    assert is_open(fd)
    table.give_back(second.values())
    assert not is_open(fd)


def test_closing_waits_for_borrowers_too(table, path):
    handle = table.open(path)
    fd = table.get(handle).fd
    with table.borrowed([handle]):
        table.close()
        assert is_open(fd)
    assert not is_open(fd)
    with pytest.raises(StorageError, match="closed"):
        table.borrow([handle])
    with pytest.raises(StorageError, match="closed"):
        table.get(handle)


def test_falling_back_clears_the_flag_once(path):
    table = FileTable(direct=True)
    handle = table.open(path)
    file = table.get(handle)
    if direct_proof(file.fd).flag is None:
        pytest.skip("this system does not show a handle's flags")
    assert direct_proof(file.fd).flag
    table.fall_back(file, "write")
    table.fall_back(file, "read")
    assert direct_proof(file.fd).flag is False
    assert not table.direct
    assert table.fallback_reason == (
        f"{file.name}: O_DIRECT was accepted, then refused by the first write"
    )
    table.close()


def test_descriptors_do_not_reach_programs_that_are_started(table, path):
    assert not os.get_inheritable(table.get(table.open(path)).fd)
