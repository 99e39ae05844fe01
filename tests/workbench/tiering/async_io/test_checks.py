"""Messages name the file, the request and the fix."""

import errno

import pytest

from workbench.tiering.async_io import checks
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import DeadlineError, Request

PAGE = aligned_buffer(4096)


def test_good_requests_pass():
    for op in ("read", "write", "sync"):
        assert checks.refusal(Request(op, 1, 8192, PAGE, (PAGE,)), "f", direct=True) is None
    odd = memoryview(bytearray(3))
    assert checks.refusal(Request("read", 1, 5, odd), "f", direct=False) is None
    assert checks.refusal(Request("write", 1, 5, memoryview(b"abc")), "f", direct=False) is None
    # A sync has no place and no buffer to be wrong about.
    assert checks.refusal(Request("sync", 1, -5, odd), "f", direct=True) is None


@pytest.mark.parametrize(
    ("offset", "buffer", "rest"),
    [(1, PAGE, ()), (0, PAGE[:100], ()), (0, PAGE, (PAGE[:512],)), (0, PAGE, (PAGE[1:1],))],
)
def test_every_part_must_be_on_the_grid(offset, buffer, rest):
    found = checks.refusal(Request("read", 1, offset, buffer, rest), "f", direct=True)
    if offset == 0 and rest == (PAGE[1:1],):
        assert found is None  # nothing lies nowhere
    else:
        assert "f: read of" in str(found)


def test_errors_say_what_was_asked():
    request = Request("write", 1, 4096, PAGE, (PAGE,))
    assert str(checks.failed(request, "f", errno.EIO)) == (
        "f: write of 8192 bytes at 4096 failed: Input/output error"
    )
    assert "reading only" in str(checks.failed(request, "f", errno.EBADF))
    assert "after 100 bytes" in str(checks.fell_short(request, "f", 100))
    assert "flush failed: No space" in str(checks.failed(Request("sync", 1), "f", errno.ENOSPC))
    assert "file 1 is not open" in str(checks.unknown_file(request))


def test_late_answers_say_whether_the_request_was_begun():
    begun = checks.too_late(Request("sync", 1), "f", 0.25)
    assert isinstance(begun, DeadlineError)
    assert str(begun) == "f: sync had no answer within 0.25 s"
    assert "was not begun" in str(checks.too_late(Request("sync", 1), "f", 1, tried=False))
