"""The page of a profile: what was sampled, clocked and counted, and what it says without any."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from bs4 import BeautifulSoup

from workbench.report.profile_page import render_profile

Page = Callable[..., BeautifulSoup]


@pytest.fixture
def page(profiles: ModuleType) -> Page:
    """Return a function that renders the sample profile, parts of it exchanged."""

    def render(**changes: Any) -> BeautifulSoup:
        profile = profiles.sample_profile(**changes)
        html = render_profile(profiles.sample_record(), profile, "index.html")
        return BeautifulSoup(html, "html.parser")

    return render


def text(soup: BeautifulSoup) -> str:
    return " ".join(soup.get_text(" ").split()).replace("\N{NO-BREAK SPACE}", " ")


def test_the_hottest_function_comes_first_and_the_table_holds_every_one(page: Page) -> None:
    soup = page()
    assert "kernels.copy.nontemporal took most time in itself, 60.0 %" in text(soup)
    table = soup.find("table")
    rows = [
        [cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")
    ]
    assert rows[1][:3] == ["kernels.copy.nontemporal", "compiled by Numba", "compiled kernel"]
    assert [rows[1][3], rows[1][5]] == ["60.0", "60.0"]
    by_name = {row[0]: row for row in rows}
    assert by_name["cell 5 (memory)"][3:] == ["0", "0", "80.0"]
    assert soup.select_one(".flame[role=img]")["aria-label"].startswith("Flame graph. Longest")
    assert len(soup.select(".flame span")) == 5


def test_phases_counters_and_overhead_are_told(page: Page) -> None:
    told = text(page())
    assert "tier reads 3 40.0 60.0 4.00 7 1" in told
    assert "Minor faults together, about 0.0200 s" in told
    assert "instructions 3,000" in told
    assert "1.50 instructions a cycle" in told
    assert "+25% wall time, against the quicker plain run" in told
    assert "workbench profile --rate 50 day01 --preset tiny" in told
    assert "py-spy 0.4.3" in told
    assert "2,000 of 3,000" in told


def test_what_is_missing_is_said(page: Page) -> None:
    told = text(page(counters={}, counters_reason="perf is not here", usage=None, phases=()))
    assert "None: perf is not here." in told
    assert "ended without writing its phases" in told
    told = text(page(phases=(), plain_s=()))
    assert "entered no phase" in told
    assert "Overhead not measured" in told


def test_no_samples_make_a_page_all_the_same(page: Page) -> None:
    soup = page(frames=(), stacks=())
    assert "No sample was taken" in text(soup)
    assert soup.select(".flame") == []


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("workbench generate --prompt 'a b'", "workbench profile --rate 50 generate -- --prompt"),
        ("workbench list", "workbench profile --rate 50 list"),
    ],
)
def test_the_command_again(page: Page, command: str, again: str) -> None:
    assert again in text(page(command=command))


def test_a_hostile_profile_stays_text(page: Page) -> None:
    frames = ({"name": "<script>x</script>", "place": "</span><b>", "kind": "native"},)
    stacks = ({"frames": [0], "seconds": 1.0},)
    soup = page(frames=frames, stacks=stacks, command="workbench <i>")
    assert soup.find("b") is None
    assert soup.find("i") is None
    assert "<script>x</script>" in soup.select_one(".flame span").get_text()
