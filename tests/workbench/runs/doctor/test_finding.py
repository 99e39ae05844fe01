"""Findings: each not-ok carries a fix, and a check that breaks is itself a finding."""

from __future__ import annotations

import errno

import pytest

from workbench.errors import DataError
from workbench.runs.doctor.finding import Finding, fail, look, ok, warn


def test_a_fix_comes_with_trouble_and_only_then() -> None:
    assert ok("fine").fix == ""
    assert warn("slow", "buy").status == "warn"
    assert fail("gone", "fetch").status == "fail"
    for status, fix in (("ok", "needless"), ("warn", ""), ("fail", "")):
        with pytest.raises(ValueError, match="do not agree"):
            Finding(status, "x", fix)  # type: ignore[arg-type]


def test_a_check_that_breaks_has_failed_and_the_others_still_run() -> None:
    def broken_import() -> Finding:
        raise ModuleNotFoundError("No module named 'gone'", name="gone")

    def full_disk() -> Finding:
        raise OSError(errno.ENOSPC, "No space left on device")

    def no_manifest() -> Finding:
        raise DataError("no manifest")

    found = look(
        {"a": broken_import, "b": full_disk, "c": no_manifest, "d": lambda: ok("still here")}
    )
    assert found["a"] == fail("gone cannot be imported", "make setup")
    assert found["b"].found == "No space left on device"
    assert found["c"].found == "no manifest"
    assert found["d"].status == "ok"
