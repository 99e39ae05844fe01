"""What every folder must do, as a class that the tests of each one inherit.

Follows: engine.Folder.
Leaves out: what survives a crash (SimDisk's own tests) and links (RealFolder's own tests).
"""

from __future__ import annotations

from typing import Any

import pytest

from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError


class FolderContract:
    """Inherit, and give a `folder` fixture, and `content` that looks past the folder."""

    def content(self, folder: Any, name: str) -> bytes:
        raise AssertionError("a subclass reads the bytes")

    def test_a_new_file_is_zeros_of_the_length_asked_for(self, folder):
        for n_bytes in (0, 1, PAGE_BYTES, 3 * PAGE_BYTES + 5):
            name = f"new-{n_bytes}"
            folder.create(name, n_bytes)
            assert folder.size(name) == n_bytes
            assert self.content(folder, name) == bytes(n_bytes)

    def test_names_are_sorted(self, folder):
        assert folder.names() == []
        for name in ("b", "a", "c"):
            folder.create(name, 1)
        assert folder.names() == ["a", "b", "c"]
        assert folder.path("a").name == "a"

    def test_what_exists_is_not_created_again(self, folder):
        folder.create("once", 7)
        with pytest.raises(StorageError, match="once: cannot be created: File exists"):
            folder.create("once", 9)
        assert folder.size("once") == 7

    def test_replacing_takes_the_place_of_the_other(self, folder):
        folder.create("old", 1)
        folder.create("new", 2)
        folder.replace("new", "old")
        assert folder.names() == ["old"]
        assert folder.size("old") == 2
        folder.replace("old", "elsewhere")
        assert folder.names() == ["elsewhere"]

    def test_removed_is_gone(self, folder):
        folder.create("short-lived", 1)
        folder.remove("short-lived")
        assert folder.names() == []
        folder.sync()
        folder.create("short-lived", 2)
        assert folder.size("short-lived") == 2

    def test_what_is_missing_is_named(self, folder):
        for call in (
            lambda: folder.size("gone"),
            lambda: folder.remove("gone"),
            lambda: folder.replace("gone", "other"),
        ):
            with pytest.raises(StorageError, match=r"gone: cannot be .*: No such file"):
                call()

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "../up", "nul\0"])
    def test_only_plain_names_are_taken(self, folder, name):
        folder.create("fine", 1)
        for call in (
            lambda: folder.path(name),
            lambda: folder.create(name, 1),
            lambda: folder.replace("fine", name),
        ):
            with pytest.raises(StorageError, match="no plain file name"):
                call()
        assert folder.names() == ["fine"]
