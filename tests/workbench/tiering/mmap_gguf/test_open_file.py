"""OpenFile: one handle, one size, and a change of the file is seen."""

import os

import pytest

from workbench.tiering.mmap_gguf.open_file import GGUFError, OpenFile


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.gguf"
    path.write_bytes(bytes(100))
    return path


def test_the_size_is_taken_when_it_is_opened(path):
    with OpenFile(path) as file:
        assert (file.path, file.file_bytes) == (path, 100)
        assert not os.get_inheritable(file.fd)
        file.check_unchanged()


def test_closing_twice_is_harmless(path):
    file = OpenFile(path)
    file.close()
    file.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.fd)


@pytest.mark.parametrize("n_bytes", [0, 99, 101])
def test_another_size_is_seen(path, n_bytes):
    with OpenFile(path) as file:
        os.truncate(path, n_bytes)
        with pytest.raises(GGUFError, match=f"had 100 bytes .* now has {n_bytes}") as caught:
            file.check_unchanged()
        assert caught.value.offset == min(n_bytes, 100)


def test_a_write_of_the_same_size_is_seen(path):
    with OpenFile(path) as file:
        status = os.stat(path)
        path.write_bytes(bytes(99) + b"!")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        with pytest.raises(GGUFError, match="was written to"):
            file.check_unchanged()


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(GGUFError, match="is no regular file"):
            OpenFile(path)


def test_what_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(GGUFError, match="No such file"):
        OpenFile(tmp_path / "missing")
    with pytest.raises(GGUFError, match="cannot be opened: embedded null byte"):
        OpenFile(tmp_path / "nul\0")


def test_no_descriptor_stays_behind_a_refusal(tmp_path):
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(GGUFError):
        OpenFile(tmp_path)
    assert len(os.listdir("/dev/fd")) == before


def test_bytes_are_read_where_they_stand_or_refused(path):
    path.write_bytes(bytes(range(100)))
    with OpenFile(path) as file:
        assert file.read(7, 3) == bytes([7, 8, 9])
        assert file.read(100, 0) == b""
        with pytest.raises(GGUFError, match="became shorter") as caught:
            file.read(98, 3)
        assert caught.value.offset == 100
