"""`workbench data`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import DataError, UsageError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_DATA_MIRROR", raising=False)
    return tmp_path


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(app, ["data", *arguments], catch_exceptions=False)
    return answer.stdout


def test_the_list_names_every_data_set_and_its_state(data: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert rows["smollm2-135m"]["state"] == "absent"
    assert rows["smollm2-135m"]["MB"] == 98.4
    assert rows["wikitext-2"]["licence"] == "CC-BY-SA-3.0"
    assert "mooncake-synthetic" in run("list")


def test_what_is_absent_is_said_with_the_fix(data: Path) -> None:
    rows = json.loads(run("verify", "--json"))
    assert rows == []
    with pytest.raises(DataError, match="workbench data get azure-code"):
        run("path", "azure-code")
    with pytest.raises(DataError, match="absent or wrong"):
        run("verify", "azure-code", "--json")


def test_wrong_names_are_refused_before_anything_is_fetched(data: Path) -> None:
    with pytest.raises(UsageError, match="did you mean wikitext-2"):
        run("get", "smollm2-135m", "wikitext2")
    assert list(data.iterdir()) == []


def test_a_wrong_mirror_file_ends_the_command(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = data / "mirror"
    (mirror / "azure").mkdir(parents=True)
    (mirror / "azure/AzureLLMInferenceTrace_code.csv").write_text("TIMESTAMP\n")
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", str(mirror))
    with pytest.raises(DataError, match="the mirror's azure"):
        run("get", "azure-code")
    assert not (data / "azure").exists()


def test_the_model_is_where_get_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` fetches the model first, so this asks nothing of the network."""
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    shown = json.loads(run("get", "smollm2-135m", "--json"))["smollm2-135m"]
    (path,) = json.loads(run("path", "smollm2-135m", "--json"))
    assert path.endswith(shown[0])
    with Path(path).open("rb") as model:
        assert model.read(4) == b"GGUF"
    assert run("path", "smollm2-135m").strip() == path
