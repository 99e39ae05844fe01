"""Errors of keys end the command line as others of their kind do."""

from workbench.errors import UsageError, WorkbenchError
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.encryption.errors import KeyTableError, MasterKeyError


def test_a_bad_master_key_is_a_bad_call_and_a_bad_table_a_bad_store():
    assert issubclass(MasterKeyError, UsageError)
    assert issubclass(KeyTableError, StorageError)
    assert (MasterKeyError("x").exit_code, KeyTableError("x").exit_code) == (
        UsageError.exit_code,
        WorkbenchError.exit_code,
    )
