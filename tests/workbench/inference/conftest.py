"""Fixtures of the inference tests: data sets, golden outputs, a tiny real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.inference.stories import write_stories
from workbench import datasets
from workbench.errors import DataError


@pytest.fixture(scope="session")
def fetched() -> Callable[[str], dict[str, Path]]:
    """Return a function that fetches a data set and gives its files by name."""

    def files(name: str) -> dict[str, Path]:
        try:
            return {path.name: path for path in datasets.get(name)}
        except DataError as error:
            pytest.skip(f"needs the data set {name}, which could not be fetched: {error}")

    return files


@pytest.fixture(scope="session")
def stories(
    fetched: Callable[[str], dict[str, Path]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return stories260K as a GGUF file with F32 tensors."""
    fetched("stories260k")
    return write_stories(tmp_path_factory.mktemp("stories"))


@pytest.fixture(scope="session")
def smollm2(fetched: Callable[[str], dict[str, Path]]) -> Path:
    """Return the file of SmolLM2-135M."""
    return next(path for path in fetched("smollm2-135m").values() if path.suffix == ".gguf")


@pytest.fixture(scope="session")
def greedy(golden: Path) -> list[dict[str, Any]]:
    """Return one record for each golden prompt, in the order of their numbers."""
    records = json.loads((golden / "greedy.json").read_text())
    by_prompt = {record["prompt"]: record for record in reversed(records)}
    return list(reversed(by_prompt.values()))
