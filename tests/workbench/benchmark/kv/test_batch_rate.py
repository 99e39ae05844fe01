"""Every batch size stores the same tokens, beside the store kernel alone and copies."""

from __future__ import annotations

import pytest

from workbench.benchmark.kv import batch_rate
from workbench.benchmark.kv.batch_rate import BATCHES_TOKENS, CEILING, KERNEL
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry

TOY = KVGeometry(2, 2, 64, "float16")
CASES = [*map(str, BATCHES_TOKENS), KERNEL, CEILING]


@pytest.fixture(scope="module")
def measured():
    return batch_rate.measure(TOY, 2, 10)


def test_every_size_the_kernel_and_the_copy_store_as_many_tokens(measured):
    assert list(measured.samples.seconds) == CASES
    assert set(measured.samples.work.values()) == {2 * 64.0}
    assert all(len(seconds) == 10 for seconds in measured.samples.seconds.values())
    assert measured.ratio(4, 4).median == 1


def test_the_rows_name_size_and_geometry(measured):
    rows = measured.metrics
    assert set(rows["metric"]) == {"batch_append"}
    assert set(rows["unit"]) == {"tokens/s"}
    assert set(rows.filter(variant="append")["case"]) == {
        f"geometry=2x2x64 float16 batch={size}" for size in BATCHES_TOKENS
    }
    for alone in (KERNEL, CEILING):
        assert set(rows.filter(variant=alone)["case"]) == {"geometry=2x2x64 float16"}


def test_the_table_is_held_against_a_batch_of_one_and_the_copy(measured):
    table = measured.table
    assert table["tokens a batch"].to_list() == [
        *CASES[:-2],
        "store kernel alone, 64",
        "copy of the same bytes",
    ]
    assert table["times batch of 1"][0] == 1
    assert table["of the copy"][-1] == 1
    # 2 layers x 2 heads x 64 values, keys and values, 2 bytes each.
    assert table["GB/s"].to_list() == pytest.approx((table["tokens/s"] * 1024 / 1e9).to_list())


def test_slabs_beyond_memory_are_refused():
    with pytest.raises(UsageError):
        batch_rate.measure(batch_rate.SEED_HALF, 10_000_000, 10)
