"""Two real processes share one server; one that fails is told of with what it said."""

from __future__ import annotations

import pytest

from workbench.benchmark.network import warm_process
from workbench.benchmark.network.warm_process import ProcessesPlan, Told
from workbench.benchmark.scratch_files import MediumError


def test_the_second_process_finds_what_the_first_computed(disk_folder):
    # The command line's time-outs are 50 ms: on a busy machine a block may come too late.
    for _ in range(3):
        found = warm_process.measure("smollm2-135m", disk_folder, ProcessesPlan(1, 600, 2))
        ((first, second),) = found.pairs
        if second.resumed_tokens:
            break
    assert first.resumed_tokens == 0
    assert 0 < second.resumed_tokens <= first.prompt_tokens // 64 * 64
    assert first.token_ids == second.token_ids
    assert found.metrics["variant"].to_list() == [warm_process.FIRST, warm_process.SECOND]
    assert found.table["continuation"].to_list() == ["same", "same"]
    assert list(disk_folder.iterdir()) == []


def test_another_continuation_is_an_error(monkeypatch, disk_folder):
    told = [Told(1.0, 100, 0, (1, 2)), Told(1.0, 100, 64, (1, 3))]
    monkeypatch.setattr(warm_process, "answers", lambda prompt, commands: told)
    with pytest.raises(MediumError, match="differently"):
        warm_process.measure("smollm2-135m", disk_folder, ProcessesPlan(1, 100, 2))


def test_a_process_that_fails_is_told_of():
    with pytest.raises(MediumError, match=r"ended with 2: (?s:.*)tokens=0 must be at least 1"):
        warm_process.answers("text", [["generate", "--prompt", "-", "--tokens", "0"]])
