"""Offer a few controls over a measurement in a live notebook, and the same result as a static twin.

Follows: UX rule that every widget needs a twin which survives papermill, HTML and JavaScript off.
Leaves out: custom widgets; a dropdown and a button are enough so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
    chosen : mapping         control name -> the value shown now; must be among its choices
    interactive : bool       True in a live front end; else the chosen values replace the controls

    Cost    one call of ``show`` now, one more each time the button is pressed.
    """
    if interactive:
        display(_panel(show, choices, chosen))
    else:
        line = ", ".join(f"`{name} = {value}`" for name, value in chosen.items())
        display(Markdown(f"Shown for {line}; in JupyterLab these are controls."))
    show(**chosen)


def _panel(
    show: Callable[..., None], choices: Mapping[str, Sequence[object]], chosen: Mapping[str, object]
) -> object:
    import ipywidgets

    pickers = {
        name: ipywidgets.Dropdown(options=list(values), value=chosen[name], description=name)
        for name, values in choices.items()
    }
    # Manual: a measurement takes seconds, so it starts by button and not at every change.
    return ipywidgets.interactive(show, {"manual": True, "manual_name": "Measure"}, **pickers)
