"""What is left of a request's buffers after some bytes; flushing is real."""

import pytest

from workbench.tiering.async_io.blocking import flush, rest_of

A, B = memoryview(b"abcd"), memoryview(b"efg")


@pytest.mark.parametrize(
    ("done", "left"),
    [(0, [b"abcd", b"efg"]), (3, [b"d", b"efg"]), (4, [b"efg"]), (6, [b"g"]), (7, [])],
)
def test_the_rest_begins_where_the_call_ended(done, left):
    assert [bytes(part) for part in rest_of((A, B), done)] == left


def test_flush_reports_what_cannot_be_flushed(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x")
        flush(file.fileno())
        fd = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        flush(fd)
