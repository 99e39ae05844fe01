"""The experiment: every workload and variant has its rounds, its proof and its ceiling."""

import pytest

from tests.workbench.tiering.gguf_files import tiny_llama
from workbench.benchmark import metrics
from workbench.benchmark.storage import restore
from workbench.benchmark.storage.restore import ALL, RestorePlan
from workbench.benchmark.storage.restore_variants import variants_for
from workbench.errors import UsageError


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))


@pytest.fixture
def model(disk_folder):
    path = disk_folder / "model.gguf"
    path.write_bytes(tiny_llama().to_bytes() + bytes(4 << 20))
    return str(path)


@pytest.mark.fio
def test_all_workloads_are_measured_beside_fio_and_proven(disk_folder, model):
    store = disk_folder / "store"
    plan = RestorePlan(ALL, 64, 8, 128, model, 24, 10, 100, 1)
    found = restore.measure(store, plan)
    expected = [(name, one.name) for name in ALL for one in variants_for(name, 64, 8)]
    assert found.table.select("workload", "variant").rows() == expected
    assert found.table["of ceiling"].null_count() == 0
    assert found.table["ceiling spread"].null_count() == len(expected)
    assert found.proof["proven"].all()
    assert set(found.proof["O_DIRECT read back"]) <= {"set", "no flag on this system"}
    assert found.metrics.schema == metrics.SCHEMA
    rounds = metrics.summary(found.metrics)
    ours = rounds.filter(~rounds["variant"].str.starts_with("fio"))
    assert set(ours["rounds"]) == {10}
    assert set(ours["tier"]) == {"device"}
    assert "restore_model_load" in set(ours["metric"])
    ratio = found.ratio("sequential", found.best("sequential"), "synchronous")
    assert 0 < ratio.low <= ratio.median <= ratio.high
    assert any("the kernel schedules" in note for note in found.notes)
    assert list(store.iterdir()) == []


def test_without_fio_rows_have_no_ceiling_and_the_block_size_is_chosen(disk_folder):
    found = restore.measure(disk_folder, RestorePlan(tokens=256, fio_runs=0))
    assert found.table["ceiling GB/s"].null_count() == len(found.table)
    assert found.block_kib in {16, 32, 64, 128, 256, 512, 1024, 2048}
    assert any("not asked for" in note for note in found.notes)
    with pytest.raises(UsageError, match="workload mixed was not measured; measured: sequential"):
        found.best("mixed")
    with pytest.raises(UsageError, match="nothing was not measured on sequential"):
        found.ratio("sequential", "nothing", "synchronous")


def test_a_plan_that_cannot_be_measured_names_every_problem(disk_folder):
    plan = RestorePlan(("sequental",), 6, 1, 64, "m", 0, 3, 0, -1)
    with pytest.raises(UsageError) as caught:
        restore.measure(disk_folder, plan, seed=-1)
    words = ("sequental", "block_kib=6", "queue_depth=1", "tokens=64", "model_mib=0", "rounds=3")
    for word in (*words, "fio_ms=0", "fio_runs=-1", "seed=-1"):
        assert any(word in problem for problem in caught.value.problems)
    with pytest.raises(UsageError, match="must name at least one"):
        restore.measure(disk_folder, RestorePlan(()))
