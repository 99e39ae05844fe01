"""Reader: no step leaves the file, and what it keeps is counted."""

import contextlib
import os
import struct

import pytest

from tests.workbench.tiering.gguf_files import text, u32, u64
from workbench.tiering.mmap_gguf.open_file import GGUFError, OpenFile
from workbench.tiering.mmap_gguf.reader import Budget, Reader


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "bytes"
        path.write_bytes(content)
        return path

    return write


@contextlib.contextmanager
def reading(path):
    with OpenFile(path) as opened:
        yield Reader(opened)


def test_numbers_and_texts_follow_each_other(file):
    with reading(file(u32(7) + text("seven") + u64(8))) as reader:
        assert (reader.u32(), reader.text("word", 9), reader.u64()) == (7, "seven", 8)
        assert reader.remaining == 0
        with pytest.raises(GGUFError, match="truncated"):
            reader.number(struct.Struct("<B"))


def test_a_step_past_the_end_moves_nothing(file):
    with reading(file(bytes(3))) as reader:
        for step in (reader.u32, lambda: reader.skip(4, "gap")):
            with pytest.raises(GGUFError):
                step()
            assert reader.offset == 0
        reader.skip(3, "gap")
        assert reader.remaining == 0


def test_bad_utf8_is_reported_where_it_stands(file):
    with reading(file(text(b"ab\xffd"))) as reader, pytest.raises(GGUFError) as caught:
        reader.text("word", 9)
    assert caught.value.offset == 8 + 2


def test_skipped_texts_end_where_read_ones_do(file):
    words = [b"x" * (i % 5) for i in range(100)]
    content = b"".join(text(word) for word in words) + u32(9)
    with reading(file(content)) as reader:
        reader.skip_texts(100, 9, "words")
        assert reader.u32() == 9


def test_kept_bytes_are_limited(file):
    with reading(file(b"")) as reader:
        reader.keep(8 << 20, "much")
        with pytest.raises(GGUFError, match="with more the header's values pass 8 MiB"):
            reader.keep(1, "more")


def test_steps_are_limited(file):
    with reading(file(b"")) as reader:
        reader.step(2 << 20, "much")
        with pytest.raises(GGUFError, match="with more the header's arrays pass"):
            reader.step(1, "more")


def test_a_file_that_shrinks_meanwhile_is_refused(file):
    path = file(bytes(100))
    with reading(path) as reader:
        os.truncate(path, 2)
        with pytest.raises(GGUFError, match="became shorter"):
            reader.u64()


def test_files_of_one_model_share_a_budget(file):
    budget = Budget()
    with OpenFile(file(b"")) as opened:
        Reader(opened, budget).keep(8 << 20, "much")
        with pytest.raises(GGUFError, match="pass 8 MiB"):
            Reader(opened, budget).keep(1, "more")
