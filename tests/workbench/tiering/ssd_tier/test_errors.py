"""Every message names the file, the values and the fix."""

import pytest

from workbench.errors import WorkbenchError
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier.errors import (
    StoreDamagedError,
    StoreForkedError,
    StoreGeometryError,
    StoreInUseError,
    StoreRolledBackError,
    StoreVersionError,
)


def test_in_use_names_the_holder() -> None:
    assert "in use by pid 42" in str(StoreInUseError("store", 42))
    assert "another process" in str(StoreInUseError("store", None))
    assert isinstance(StoreInUseError("store", 42), WorkbenchError)


def test_versions_name_both_and_the_way_out() -> None:
    newer, older = StoreVersionError("index", 2, 1), StoreVersionError("index", 0, 1)
    assert "format version 2" in str(newer)
    assert "reads version 1" in str(newer)
    assert "update the workbench" in str(newer)
    assert "use the version that wrote it" in str(older)


def test_in_use_carries_the_pid_and_a_way_out() -> None:
    error = StoreInUseError("store", 42)
    assert error.pid == 42
    assert str(error).startswith("store: ")
    assert "close it there, or give another folder" in str(error)
    assert StoreInUseError("store", None).pid is None


def test_versions_carry_what_was_found_and_a_last_resort() -> None:
    error = StoreVersionError("segment-00003", 7, 1)
    assert (error.file, error.found, error.supported) == ("segment-00003", 7, 1)
    assert str(error).startswith("segment-00003: ")
    assert "or remove the folder to start with an empty store" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        StoreInUseError("store", 1),
        StoreVersionError("index", 2, 1),
        StoreGeometryError("said"),
        StoreDamagedError("said"),
        StoreRolledBackError("said"),
        StoreForkedError("said"),
    ],
)
def test_all_can_be_caught_as_one_and_end_the_command_with_a_code(error: StorageError) -> None:
    with pytest.raises(StorageError):
        raise error
    assert isinstance(error, WorkbenchError)
    assert error.exit_code != 0
    assert str(error)


def test_no_kind_is_taken_for_another() -> None:
    kinds = [
        StoreInUseError,
        StoreVersionError,
        StoreGeometryError,
        StoreDamagedError,
        StoreRolledBackError,
        StoreForkedError,
    ]
    for one in kinds:
        assert [issubclass(one, other) for other in kinds].count(True) == 1
