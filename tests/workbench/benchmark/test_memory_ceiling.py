"""The memory ceiling: every kernel on every thread count, in declared rows; refusals."""

import pytest

from workbench.benchmark import metrics
from workbench.benchmark.memory_ceiling import VARIANTS, case_name, measure
from workbench.errors import UsageError


@pytest.fixture(scope="module")
def result():
    return measure(memory_mib=2, rounds=2)


def test_every_kernel_is_measured_on_every_thread_count(result):
    assert result.threads == (1, 2)
    expected = {case_name(f, v, t) for f in VARIANTS for v in VARIANTS[f] for t in (1, 2)}
    assert set(result.samples.seconds) == expected
    assert set(VARIANTS) == {"copy", "read", "tile"}


def test_rows_are_in_the_declared_schema(result):
    frame = result.metrics
    assert frame.schema == metrics.SCHEMA
    assert frame.height == 2 * len(result.samples.seconds)
    assert set(frame["metric"]) == {"memory_copy", "memory_read", "memory_copy_cached"}
    assert set(frame["case"]) == {"threads=1", "threads=2"}
    assert set(frame["unit"]) == {"GB/s"}
    assert set(frame["tier"]) == {"memory"}
    assert frame["value"].is_finite().all()
    assert (frame["value"] > 0).all()


def test_best_is_the_largest_median_of_its_family(result):
    for threads in (1, 2):
        for family, answer in (
            ("copy", result.copy_gb_s(threads)),
            ("read", result.read_gb_s(threads)),
            ("tile", result.cached_copy_gb_s(threads)),
        ):
            rates = {
                v: result.samples.median_rate(case_name(family, v, threads)) / 1e9
                for v in VARIANTS[family]
            }
            variant, rate = result.best(family, threads)
            assert answer == rate == rates[variant] == max(rates.values())


def test_work_is_what_was_copied(result):
    for threads in (1, 2):
        assert result.samples.work[case_name("copy", "numpy", threads)] == 2 << 20


def test_shares_of_an_odd_thread_count_stay_inside():
    result = measure(memory_mib=1, rounds=1, threads=(3,))
    assert result.samples.work["tile njit_nontemporal threads=3"] == 3 * (256 << 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "memory_mib=0 must be at least 1"),
        ((1, 0), "rounds=0 must be at least 1"),
        ((1, 1, ()), "different counts of at least 1"),
        ((1, 1, (1, 1)), "different counts of at least 1"),
        ((1, 1, (0,)), "different counts of at least 1"),
        ((1, 1, (5,)), "too little for 5 threads"),
        ((1 << 40, 1), "lower memory_mib"),
    ],
)
def test_refusals_name_what_is_wrong(arguments, message):
    with pytest.raises(UsageError, match=message):
        measure(*arguments)
