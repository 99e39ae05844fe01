"""Controls: live ones measure on the button; the static twin shows the chosen values."""

from __future__ import annotations

import ipywidgets
import pytest

from workbench import controls
from workbench.controls import _panel, _player, browse, explore

CHOICES = {"preset": ["tiny", "standard"], "block_kib": [4, 16]}
CHOSEN = {"preset": "tiny", "block_kib": 16}


def test_the_static_twin_shows_the_values_and_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    measured: list[dict[str, object]] = []
    monkeypatch.setattr(controls, "display", lambda text: shown.append(text.data))
    explore(lambda **chosen: measured.append(chosen), CHOICES, CHOSEN, interactive=False)
    assert measured == [CHOSEN]
    assert len(shown) == 1
    assert "`block_kib = 16`" in shown[0]


def test_the_panel_offers_every_choice_and_measures_on_the_button() -> None:
    seen: list[dict[str, object]] = []

    def show(preset: str, block_kib: int) -> None:
        seen.append({"preset": preset, "block_kib": block_kib})

    panel = _panel(show, CHOICES, CHOSEN)
    pickers = {w.description: w for w in panel.children if isinstance(w, ipywidgets.Dropdown)}
    assert {name: list(picker.options) for name, picker in pickers.items()} == CHOICES
    pickers["block_kib"].value = 4
    assert seen == []
    button = next(w for w in panel.children if isinstance(w, ipywidgets.Button))
    assert button.description == "Measure"
    button.click()
    assert seen == [{"preset": "tiny", "block_kib": 4}]


def test_a_value_typed_into_the_notebook_that_is_no_choice_is_offered_first() -> None:
    panel = _panel(lambda **_: None, CHOICES, {"preset": "tiny", "block_kib": 5})
    picker = panel.children[1]
    assert (list(picker.options), picker.value) == ([5, 4, 16], 5)


STEPS, BROWSED = {"eviction": 9}, {"eviction": 4, "policy": "lru"}


def test_the_static_twin_of_the_steps_shows_the_chosen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    shown: list[dict[str, object]] = []
    monkeypatch.setattr(controls, "display", lambda text: said.append(text.data))
    policies = {"policy": ["lru", "arc"]}
    browse(lambda **chosen: shown.append(chosen), STEPS, policies, BROWSED, interactive=False)
    assert shown == [BROWSED]
    assert "`eviction = 4`, `policy = lru`" in said[0]


def test_the_player_redraws_at_every_step_and_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, str]] = []

    def show(eviction: int, policy: str) -> None:
        seen.append((eviction, policy))

    displayed: list[ipywidgets.VBox] = []
    monkeypatch.setattr(controls, "display", displayed.append)
    browse(show, STEPS, {"policy": ["lru", "arc"]}, BROWSED, interactive=True)
    row, picker, _ = displayed[0].children
    play, slider = row.children
    assert (play.min, play.max, play.value) == (slider.min, slider.max, slider.value) == (1, 9, 4)
    slider.value = 5
    picker.value = "arc"
    assert seen == [(4, "lru"), (5, "lru"), (5, "arc")]


def test_a_value_that_is_no_choice_is_offered_by_the_player_too() -> None:
    player = _player(lambda **_: None, STEPS, {"policy": ["arc"]}, BROWSED)
    assert (list(player.children[1].options), player.children[1].value) == (["lru", "arc"], "lru")
