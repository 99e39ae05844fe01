"""Settings read from files and variables."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.unified_tier.reading import read_environment, read_toml


def test_a_file_is_a_table(tmp_path):
    (tmp_path / "a.toml").write_text('x = 1\n[y]\nz = "2"\n')
    assert read_toml(tmp_path / "a.toml") == {"x": 1, "y": {"z": "2"}}


@pytest.mark.parametrize("content", [b"x = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(UsageError, match="is no TOML"):
        read_toml(tmp_path / "a.toml")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_toml(tmp_path / "a.toml")


def test_the_process_s_own_variables_are_read(monkeypatch):
    monkeypatch.setenv("WORKBENCH_TIER_CODEC", "int8")
    assert read_environment()["codec"] == "int8"
    assert read_environment({}) == {}
