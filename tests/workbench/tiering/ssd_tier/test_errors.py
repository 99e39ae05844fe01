"""Every message names the file, the values and the fix."""

from workbench.errors import WorkbenchError
from workbench.tiering.ssd_tier.errors import StoreInUseError, StoreVersionError


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
