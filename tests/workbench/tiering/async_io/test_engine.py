"""check_all(): a failed block is never mistaken for a moved one."""

import pytest

from workbench.tiering.async_io.engine import (
    Completion,
    Request,
    ShortTransferError,
    StorageError,
    check_all,
)

REQUEST = Request("read", 1, 0, memoryview(bytearray(8)))


def test_whole_batches_pass():
    check_all([Completion(REQUEST, 5, None), Completion(REQUEST, 6, None)])
    check_all([])


def test_the_first_error_is_raised():
    first, second = ShortTransferError("first"), StorageError("second")
    completions = [Completion(REQUEST, 1, None), Completion(REQUEST, 1, first)]
    with pytest.raises(ShortTransferError, match="first"):
        check_all([*completions, Completion(REQUEST, 1, second)])
