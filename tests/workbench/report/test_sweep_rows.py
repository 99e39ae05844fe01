from types import ModuleType

import pytest

from workbench.report.sweep_rows import Roles, run_rows, value_text
from workbench.runs.swept import Swept


@pytest.mark.parametrize(
    ("axes", "roles"),
    [
        ({"a": (1, 2)}, ("a", None, ())),
        ({"a": (1, 2), "b": ("x", "y", "z")}, ("a", "b", ())),
        ({"a": ("x", "y"), "b": ("x", "y", "z")}, ("b", "a", ())),
        ({"a": (1, 2), "b": (1, 2, 3), "c": ("x", "y")}, ("b", "a", ("c",))),
        ({"a": (1, 2), "b": tuple("abcdef")}, ("a", None, ("b",))),
        ({"a": (1, 2), "b": tuple("abcdef"), "c": ("x", "y")}, ("a", "c", ("b",))),
    ],
    ids=["alone", "number first", "longer first", "the rest are panels", "too many colours", "few"],
)
def test_numbers_go_along_the_axis_and_few_values_are_colours(axes, roles) -> None:
    found = Roles.of(axes)
    assert (found.x, found.series, found.panels) == roles


def test_names_are_listed_as_in_a_sentence() -> None:
    assert Roles("a", None, ()).listed == "a"
    assert Roles("a", "b", ()).listed == "a and b"
    assert Roles("a", "b", ("c",)).listed == "a, b and c"


def test_every_run_is_a_row_with_its_ratio_or_how_it_ended(samples: ModuleType) -> None:
    sweep = Swept.of(samples.sweep_records())
    roles = Roles.of(sweep.axes)
    rows = run_rows(sweep, sweep.records, roles)
    assert (roles.x, roles.series, roles.panels) == ("ssd_gib", "codec", ("policy",))
    assert rows.height == len(sweep.records)
    failed, killed = (
        rows.filter(rows["word"] == word).row(0, named=True) for word in ("failed", "killed")
    )
    assert (failed["ratio"], failed["text"], failed["state"]) == (None, "no ratio", "Failed")
    assert killed["state"] == "Killed, begun 3 times"
    assert (killed["x"], killed["series"], killed["panel"]) == ("256", "int8", "policy=lru")
    first = rows.row(0, named=True)
    assert (first["text"], first["span"], first["counts"]) == ("1.99×", "1.95× to 2.03×", True)


def test_repeats_of_a_point_are_counted_and_what_does_not_count_says_so(
    samples: ModuleType,
) -> None:
    records = [
        samples.swept(0, 2.0, params={"ssd_gib": 64}),
        samples.swept(1, 2.1, params={"ssd_gib": 64}, status="undecided", contended=True),
        samples.swept(2, 2.2, params={"ssd_gib": 256}),
    ]
    sweep = Swept.of(records)
    rows = run_rows(sweep, sweep.records, Roles.of(sweep.axes))
    assert rows["repeat"].to_list() == [1, 2, 1]
    assert rows["counts"].to_list() == [True, False, True]


def test_values_are_written_as_they_are_typed() -> None:
    assert [value_text(value) for value in ("s3_fifo", 64, 0.5, None)] == [
        "s3_fifo",
        "64",
        "0.5",
        "–",
    ]
