"""The configuration table: the machine as identified, the model as its header says."""

from __future__ import annotations

import pytest

from workbench import datasets
from workbench.benchmark import configuration, machine
from workbench.inference.model_file import model_file
from workbench.tiering import mmap_gguf


def test_the_real_model_is_described_from_its_header() -> None:
    if datasets.state(datasets.find("smollm2-135m")) != "present":
        pytest.skip(
            "the model is not there; `make test` fetches it, or: workbench data get smollm2-135m"
        )
    header = mmap_gguf.read_header(model_file("smollm2-135m"))
    frame = configuration.describe(machine.identify(), header, hot_tokens=1024)
    rows = {(part, item): value for part, item, value in frame.rows()}
    assert rows["model", "KV geometry"] == "30 layers x 3 KV heads x 64"
    assert rows["model", "KV per token, fp16"] == "22.5 KiB"
    assert rows["test configuration", "hot tier"] == "1,024 tokens, 1,024 MiB"
    assert machine.identify().cpu in rows["machine", "processor"]
