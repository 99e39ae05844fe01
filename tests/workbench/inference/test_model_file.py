"""Finding a model: by a name of the manifest or by a path, with the fix in every refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import paths
from workbench.errors import DataError, UsageError
from workbench.inference.model_file import model_file


def test_a_model_file_that_is_not_there_is_an_error_with_its_name() -> None:
    with pytest.raises(DataError, match=r"nowhere\.gguf"):
        model_file("data/models/nowhere.gguf")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    model = tmp_path / "tiny.gguf"
    model.write_bytes(b"GGUF")
    assert model_file(str(model)) == model


def test_a_name_that_is_not_fetched_says_how_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert paths.data() == tmp_path
    with pytest.raises(DataError, match="workbench data get smollm2-135m"):
        model_file("smollm2-135m")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="smollm2-135m"):
        model_file("smolm2-135m")
