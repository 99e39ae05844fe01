"""The README's program does what it says, on a tiny model in place of the real one."""

from __future__ import annotations

import re

import numpy as np

from tests.workbench.inference.tiny_models import write_model
from workbench import paths
from workbench.tiering.unified_tier import Health


def program() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (paths.root() / "README.md").read_text(), re.S)
    return code


def test_the_program_runs_and_goes_on_where_it_ended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    model = write_model(tmp_path)
    code = program().replace('model_file("smollm2-135m")', "path")
    assert code != program()
    lengths = []
    for _ in range(2):
        found = {"path": model}
        exec(compile(code, "README.md", "exec"), found)
        lengths.append(len(found["session"].token_ids))
        assert found["logits"].dtype == np.float32
        assert any(event.kind == "serving" for event in found["tiers"].events)
    assert lengths == [4, 8]


def test_its_words_are_states():
    assert all(str(health) in program() for health in Health)
