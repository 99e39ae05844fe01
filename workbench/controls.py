"""Offer a few controls over a measurement in a live notebook, and the same result as a static twin.

Follows: UX rule that every widget needs a twin which survives papermill, HTML and JavaScript off.
Leaves out: custom widgets; a dropdown and a button are enough so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from IPython.display import Markdown, display


def explore(
    show: Callable[..., None],
    choices: Mapping[str, Sequence[object]],
    chosen: Mapping[str, object],
    *,
    interactive: bool,
) -> None:
    """Show a result for the chosen values, under controls to choose others when someone is there.

    Parameters
    ----------
    show : callable          called with one keyword a control; measures and displays
    choices : mapping        control name -> the values it offers
    chosen : mapping         control name -> the value shown now; offered, too, if it is no choice
    interactive : bool       True in a live front end; else the chosen values replace the controls

    Cost    one call of ``show`` now, one more each time the button is pressed.
    """
    if interactive:
        display(_panel(show, choices, chosen))
    else:
        _say(chosen)
    show(**chosen)


def browse(
    show: Callable[..., None],
    steps: Mapping[str, int],
    choices: Mapping[str, Sequence[object]],
    chosen: Mapping[str, object],
    *,
    interactive: bool,
) -> None:
    """Show one step after another: sliders that can play, beside controls, each redrawing at once.

    Parameters
    ----------
    show : callable          called with one keyword a control; quick, for it runs at every change
    steps : mapping          control name -> number of its steps; they count from 1
    choices, chosen          as in `explore`; ``chosen`` has the steps, too
    interactive : bool       True in a live front end; else the chosen values replace the controls
    """
    if interactive:
        display(_player(show, steps, choices, chosen))
        return
    _say(chosen)
    show(**chosen)


def _player(
    show: Callable[..., None],
    steps: Mapping[str, int],
    choices: Mapping[str, Sequence[object]],
    chosen: Mapping[str, object],
) -> object:
    import ipywidgets

    rows, controls = [], {}
    for name, n_steps in steps.items():
        reach = {"min": 1, "max": n_steps, "value": chosen[name]}
        slider = ipywidgets.IntSlider(description=name, **reach)
        play = ipywidgets.Play(interval=700, **reach)
        ipywidgets.jslink((play, "value"), (slider, "value"))
        rows.append(ipywidgets.HBox([play, slider]))
        controls[name] = slider
    controls |= _pickers(choices, chosen)
    rows += [controls[name] for name in choices]
    return ipywidgets.VBox([*rows, ipywidgets.interactive_output(show, controls)])


def _say(chosen: Mapping[str, object]) -> None:
    line = ", ".join(f"`{name} = {value}`" for name, value in chosen.items())
    display(Markdown(f"Shown for {line}; in JupyterLab these are controls."))


def _panel(
    show: Callable[..., None], choices: Mapping[str, Sequence[object]], chosen: Mapping[str, object]
) -> object:
    import ipywidgets

    pickers = _pickers(choices, chosen)
    # Manual: a measurement takes seconds, so it starts by button and not at every change.
    return ipywidgets.interactive(show, {"manual": True, "manual_name": "Measure"}, **pickers)


def _pickers(
    choices: Mapping[str, Sequence[object]], chosen: Mapping[str, object]
) -> dict[str, Any]:
    import ipywidgets

    return {
        name: ipywidgets.Dropdown(
            options=_offered(values, chosen[name]), value=chosen[name], description=name
        )
        for name, values in choices.items()
    }


def _offered(values: Sequence[object], now: object) -> list[object]:
    """Return the values to choose from; one that was typed into the parameters cell comes first."""
    return list(values) if now in values else [now, *values]
