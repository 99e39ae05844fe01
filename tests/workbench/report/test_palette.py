import itertools

import pytest

from workbench.report.palette import ROLES, role_names

_INKS = {name: role for name, role in ROLES.items() if role.ink != "currentColor"}
_LIGHT_GROUND, _DARK_GROUND = "#ffffff", "#14171b"


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", _INKS)
def test_every_colour_stands_out_from_its_ground(name: str) -> None:
    assert _contrast(_INKS[name].light, _LIGHT_GROUND) >= 3
    assert _contrast(_INKS[name].dark, _DARK_GROUND) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tiers_are_three_steps_of_lightness(theme: str) -> None:
    steps = [_luminance(getattr(ROLES[name], theme)) for name in ("device", "page_cache", "memory")]
    for darker, lighter in itertools.pairwise(steps):
        assert (lighter + 0.05) / (darker + 0.05) > 1.5


def test_no_two_roles_share_an_ink_or_a_dash_with_a_shape() -> None:
    inks = [role.ink for role in _INKS.values()]
    assert len(set(inks)) == len(inks)
    looks = [(ROLES[name].dash, ROLES[name].shape) for name in ("device", "page_cache", "memory")]
    assert len(set(looks)) == 3


def test_a_series_gets_its_role_by_name_or_the_next_colour() -> None:
    series = ["device", "fio_qd32", "copy_ceiling", "ours", "theirs"]
    assert role_names(series, {}) == ["device", "ceiling", "ceiling", "first", "second"]
    assert role_names(["ours", "theirs"], {"theirs": "baseline"}) == ["first", "baseline"]
    assert role_names(["ours", "theirs"], {}, one_colour=True) == ["first", "first"]


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="baseline"):
        role_names(["ours"], {"ours": "mauve"})
