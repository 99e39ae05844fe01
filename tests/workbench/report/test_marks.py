import itertools

import numpy as np
import polars as pl
import pytest

from workbench.errors import ReportError
from workbench.report.marks import RoleScales, check_log, log_ticks, spread_labels, value_domain


def test_labels_that_fit_stay_where_their_values_are() -> None:
    assert spread_labels([1.0, 5.0, 9.0], (0, 10), log=False) == pytest.approx([1, 5, 9])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("n_lines", [1, 2])
def test_labels_end_a_line_apart_in_the_order_of_their_values(log: bool, n_lines: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = sorted(rng.uniform(1, 100, 5))
        places = spread_labels(values, (1, 100), log=log, n_lines=n_lines)
        shares = np.log(places) / np.log(100) if log else (np.array(places) - 1) / 99
        assert all(b - a >= 0.075 * n_lines - 1e-9 for a, b in itertools.pairwise(shares))
        assert shares.max() <= 1.02 + 1e-9


def test_a_stack_of_labels_has_its_middle_where_its_values_are() -> None:
    assert spread_labels([5.0, 5.0, 5.0], (0, 10), log=False) == pytest.approx([4.25, 5, 5.75])
    # What lies apart from the stack stays where it is.
    places = spread_labels([9.5, 4.0, 4.1], (0, 10), log=False)
    assert places == pytest.approx([9.5, 3.675, 4.425])


def test_a_stack_stays_within_the_chart() -> None:
    assert spread_labels([0.0, 0.0], (0, 10), log=False) == pytest.approx([0, 0.75])
    assert spread_labels([10.0, 10.0], (0, 10), log=False) == pytest.approx([9.45, 10.2])


def test_equal_values_get_different_places() -> None:
    places = spread_labels([2.0, 2.0, 2.0], (0, 10), log=False)
    assert len(set(places)) == 3


@pytest.mark.parametrize(
    ("domain", "ticks"),
    [
        ((0.3, 12.0), [0.5, 1, 2, 5, 10]),
        ((0.9, 1.5), [1.0, 1.2, 1.4]),
        ((0.9, 4.0), [1, 2, 3]),
        ((1.0, 1e5), [1, 10, 100, 1000, 10_000, 100_000]),
    ],
)
def test_log_ticks_are_round(domain: tuple[float, float], ticks: list[float]) -> None:
    assert log_ticks(domain) == pytest.approx(ticks)


def test_a_linear_axis_starts_at_zero_and_a_log_axis_around_its_values() -> None:
    values = pl.Series([2.0, 10.0])
    assert value_domain(values, log=False) == (0.0, pytest.approx(10.4))
    low, high = value_domain(values, log=True)
    assert 0 < low < 2
    assert high > 10


def test_a_log_axis_refuses_zero() -> None:
    with pytest.raises(ReportError, match="value 0"):
        check_log(pl.Series([0.0, 1.0]), "title", "Throughput")
    check_log(pl.Series([0.5, 1.0]), "title", "Throughput")


def test_scales_name_an_unknown_role() -> None:
    with pytest.raises(ReportError, match="mauve"):
        RoleScales.of(["a"], {"a": "mauve"})


def test_a_ceiling_is_dashed_and_its_own_shape() -> None:
    scales = RoleScales.of(["device", "fio_qd1"], None)
    dash = scales.dash("series").to_dict()["scale"]
    assert dash["domain"] == ["device", "fio_qd1"]
    assert dash["range"] == [[1, 0], [6, 4]]
    assert len(set(scales.shape("series").to_dict()["scale"]["range"])) == 2
