from types import ModuleType

import pytest

from workbench.report import facts


def test_the_environment_names_machine_code_and_packages(samples: ModuleType) -> None:
    told = dict(facts.environment(samples.record("r", git_dirty=True)))
    assert told["Processor"] == "Example 9 Processor, 2 CPUs"
    assert told["Memory"] == "24.0 GiB"
    assert told["Disk"] == "Example NVMe, ext4"
    assert told["Commit"] == "0da0350dea + changes"
    assert told["Python"] == "CPython 3.11.7"


def test_what_is_not_known_is_said_so(samples: ModuleType) -> None:
    run = samples.record("r", machine={}, machine_id="", git_sha="", branch="", wall_s=None)
    told = dict(facts.environment(run))
    assert told["Processor"] == "unknown machine"
    assert told["Commit"] == told["Disk"] == told["Machine id"] == "not known"
    assert dict(facts.appendix(run))["Took"] == "–"


def test_compiling_stands_apart(samples: ModuleType) -> None:
    told = dict(facts.appendix(samples.record("r")))
    assert told["Compiling, not measured"] == "6.20 s"
    assert told["Took"] == "3 min 07 s"
    assert told["Cells run"] == "8 of 8"
    assert told["Kept in"] == "papermill_runs/day01/r"


def test_changed_parameters_come_apart_from_the_others(samples: ModuleType) -> None:
    params = {**samples.PARAMS, "block_kib": 64, "gone": 1}
    changed, unchanged = facts.parameters(samples.record("r", params=params))
    assert [row["name"] for row in changed] == ["block_kib", "gone"]
    assert changed[0]["default"] == "16"
    assert "KiB" in changed[0]["meaning"]
    assert changed[1]["meaning"] == "not a parameter of this version"
    assert {row["name"] for row in unchanged} == set(samples.PARAMS) - {"block_kib"}


def test_the_command_makes_the_same_run_again(samples: ModuleType) -> None:
    params = {**samples.PARAMS, "block_kib": 64, "store": "my disk"}
    run = samples.record("r", params=params)
    assert facts.command(run) == "workbench run day01 -p 'store=my disk' -p block_kib=64"
    assert facts.changed_text(run) == "store=my disk, block_kib=64"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": "it broke"}, "it broke"),
        ({}, "claimed nothing"),
        ({"status": "running"}, "has not ended"),
        ({"status": "killed"}, "without saying why"),
    ],
)
def test_an_outcome_is_always_a_sentence(
    samples: ModuleType, changes: dict[str, str], said: str
) -> None:
    assert said in facts.outcome(samples.record("r", **changes))


def test_a_verdict_without_words_gets_some(samples: ModuleType) -> None:
    verdict = samples.verdict().model_copy(update={"sentence": ""})
    said = facts.outcome(samples.record("r", verdict=verdict))
    assert said == "njit scalar reaches 28.7× of python per head; the claim ≥ 10× is holds."
