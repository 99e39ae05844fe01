"""Controls: live ones measure on the button; the static twin shows the chosen values."""

from __future__ import annotations

import ipywidgets
import pytest

from workbench import controls
from workbench.controls import _panel, explore

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


def test_a_chosen_value_outside_its_choices_is_refused() -> None:
    with pytest.raises(Exception, match="Invalid selection"):
        _panel(lambda **_: None, CHOICES, {"preset": "tiny", "block_kib": 5})
