from types import ModuleType

from workbench.report import sweep_facts
from workbench.runs.swept import Swept


def test_the_grid_in_a_few_words(samples: ModuleType) -> None:
    sweep = Swept.of(samples.sweep_records())
    assert sweep_facts.grid_text(sweep) == "policy × ssd_gib × codec, 11 runs"
    assert sweep_facts.grid_text(Swept.of([samples.swept(0)])) == "one point, 1 run"


def test_every_state_is_counted(samples: ModuleType) -> None:
    found = sweep_facts.states(Swept.of(samples.sweep_records()))
    count, status = found[0]
    assert (count, status.text) == (6, "Claim holds")
    assert sum(count for count, _ in found) == 11


def test_the_sentence_tells_what_is_missing_and_what_was_made_again(samples: ModuleType) -> None:
    text = sweep_facts.sentence(Swept.of(samples.sweep_records()))
    assert text == (
        "9 of 11 runs came to the end; 1 point has no run; "
        "2 runs had to be begun again, because a worker was lost."
    )


def test_extremes_are_told_of_one_machine_and_of_verdicts_that_count(samples: ModuleType) -> None:
    records = [
        samples.swept(0, 1.5, params={"ssd_gib": 64}),
        samples.swept(1, 2.5, params={"ssd_gib": 256}),
        samples.swept(2, 9.9, params={"ssd_gib": 512}, status="undecided"),
    ]
    text = sweep_facts.sentence(Swept.of(records))
    assert text.endswith("Their ratios go from 1.50× (ssd_gib=64) to 2.50× (ssd_gib=256).")
    elsewhere = records[1].model_copy(update={"machine_id": "77aa88bb99cc"})
    assert "Their ratios" not in sweep_facts.sentence(Swept.of([records[0], elsewhere]))


def test_what_keeps_figures_from_being_compared_is_said(samples: ModuleType) -> None:
    assert sweep_facts.notices(Swept.of([samples.swept(0, 1.5)])) == []
    (machines,) = sweep_facts.notices(Swept.of(samples.sweep_records()))
    assert "made on 2 machines" in machines
    rough = [samples.swept(0, 1.5, contended=True), samples.swept(1, 1.5, git_sha="abc")]
    contended, code = sweep_facts.notices(Swept.of(rough))
    assert "no verdict counts" in contended
    assert "2 states of the code" in code


def test_facts_and_command_name_the_grid_and_what_was_held(samples: ModuleType) -> None:
    records = [run.model_copy(update={"label": "my grid"}) for run in samples.sweep_records()]
    sweep = Swept.of(records)
    facts = dict(sweep_facts.sweep_facts(sweep))
    assert facts["policy"] == "s3_fifo, lru"
    assert facts["ssd_gib"] == "64, 256, 1024"
    assert facts["Held fixed"] == "preset=tiny"
    assert facts["Claim"] == "≥ 1.2×"
    assert sweep_facts.command(sweep) == (
        "workbench sweep trace_replay -p policy=s3_fifo,lru -p ssd_gib=64,256,1024 "
        "-p codec=none,int8 -p preset=tiny --label 'my grid' --resume"
    )
