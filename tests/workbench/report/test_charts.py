import re

import polars as pl
import pytest

from workbench.errors import ReportError
from workbench.report.charts import Channel, Rule, bars_with_ceiling, grouped_bars, sweep_lines
from workbench.report.figures import Figure, bundle
from workbench.report.palette import ROLES

_X = Channel("kib", "Block size", "KiB", log=True)
_Y = Channel("rate", "Throughput", "GB/s")
_SWEEP = pl.DataFrame(
    {
        "kib": [4, 16, 64] * 3,
        "rate": [0.3, 0.9, 1.6, 3.1, 5.6, 7.1, 1.2, 2.1, 2.3],
        "tier": ["device"] * 3 + ["page_cache"] * 3 + ["fio_qd32"] * 3,
    }
)
_BARS = pl.DataFrame(
    {"variant": ["python.per[head]", "njit_scalar"], "rate": [412.0, 11_840.0]},
)
_RATE = Channel("rate", "Store rate", "tokens/s")


def _svg(figure: Figure) -> str:
    return str(bundle(figure)["image/svg+xml"])


def _texts(figure: Figure) -> set[str]:
    return set(re.findall(r"<(?:text|tspan)[^>]*>([^<]*)", _svg(figure)))


def test_every_line_is_named_and_valued_at_its_end() -> None:
    texts = _texts(sweep_lines(_SWEEP, "Reads", _X, _Y, "tier"))
    assert {
        "device\u20021.60 GB/s",
        "page cache\u20027.10 GB/s",
        "fio qd32\u20022.30 GB/s",
    } <= texts


def test_lines_differ_in_dash_or_shape_besides_their_colour() -> None:
    svg = _svg(sweep_lines(_SWEEP, "Reads", _X, _Y, "tier"))
    assert 'stroke-dasharray="6,4"' in svg
    assert f'stroke="{ROLES["device"].ink}"' in svg
    assert f'stroke="{ROLES["page_cache"].ink}"' in svg


def test_a_long_name_stands_above_its_value() -> None:
    frame = _SWEEP.with_columns(tier=pl.lit("the device, read one block at a time"))
    frame = frame.unique("kib", maintain_order=True)
    texts = _texts(sweep_lines(frame, "Reads", _X, _Y, "tier"))
    assert "the device, read one block at a time" in texts
    assert "1.60 GB/s" in texts


def test_the_alternative_text_names_the_extremes() -> None:
    words = sweep_lines(_SWEEP, "Reads", _X, _Y, "tier").alt
    assert "highest 7.10 GB/s (page cache, 64 KiB)" in words
    assert "lowest 0.300 GB/s (device, 4 KiB)" in words


def test_a_log_sweep_shows_round_ticks() -> None:
    figure = sweep_lines(_SWEEP, "Reads", _X, Channel("rate", "Rate", "GB/s", log=True), "tier")
    assert {"0.5", "1", "2", "5"} <= _texts(figure)


def test_bars_carry_their_values_and_the_ceiling_its_own() -> None:
    rule = Rule(17_600.0, "copy ceiling")
    figure = bars_with_ceiling(_BARS, "KV store", "variant", _RATE, rule)
    texts = _texts(figure)
    assert {"412 tokens/s", "11,840 tokens/s", "njit scalar"} <= texts
    assert "copy ceiling 17,600 tokens/s" in texts
    assert figure.alt.endswith("copy ceiling at 17,600 tokens/s.")


def test_bars_start_at_zero_and_keep_their_proportion() -> None:
    widths = _bar_widths(bars_with_ceiling(_BARS, "KV store", "variant", _RATE))
    assert widths[1] / widths[0] == pytest.approx(11_840 / 412, rel=0.02)


def test_an_interval_is_drawn_where_the_frame_has_one() -> None:
    frame = _BARS.with_columns(rate_low=pl.col("rate") * 0.9, rate_high=pl.col("rate") * 1.1)
    plain = _svg(bars_with_ceiling(_BARS, "KV store", "variant", _RATE))
    spans = _svg(bars_with_ceiling(frame, "KV store", "variant", _RATE))
    assert spans.count("<line") == plain.count("<line") + 2


def test_each_group_has_its_own_scale() -> None:
    frame = pl.DataFrame(
        {
            "model": ["small", "small", "large", "large"],
            "format": ["fp32", "int8"] * 2,
            "size": [1e6, 0.25e6, 1e12, 0.25e12],
        }
    )
    figure = grouped_bars(frame, "Memory", "model", "format", Channel("size", "Memory", "bytes"))
    widths = _bar_widths(figure)
    assert len(widths) == 4
    assert widths[0] == pytest.approx(widths[2])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.02)
    assert {"small", "large"} <= _texts(figure)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (_SWEEP.head(0), "no rows"),
        (_SWEEP.drop("tier"), "no column tier"),
        (_SWEEP.with_columns(kib=0), "value 0"),
    ],
)
def test_a_sweep_that_cannot_be_drawn_says_why(frame: pl.DataFrame, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        sweep_lines(frame, "Reads", _X, _Y, "tier")


def test_bars_below_zero_are_refused() -> None:
    with pytest.raises(ReportError, match="bars start at 0"):
        bars_with_ceiling(_BARS.with_columns(rate=-1.0), "KV store", "variant", _RATE)
    with pytest.raises(ReportError, match="mauve"):
        bars_with_ceiling(_BARS, "KV store", "variant", _RATE, roles={"njit_scalar": "mauve"})


def _bar_widths(figure: Figure) -> list[float]:
    """Return the lengths of the bars: the rectangles filled with a role's ink."""
    inks = "|".join(role.ink for role in ROLES.values())
    return [
        float(w)
        for w in re.findall(rf'd="M0,[\d.]+h([\d.]+)v[^"]+" fill="(?:{inks})"', _svg(figure))
    ]


def test_each_line_s_own_mark_stands_before_its_name() -> None:
    svg = _svg(sweep_lines(_SWEEP, "Reads", _X, _Y, "tier"))
    marks = re.findall(
        r'<path transform="translate\(([\d.]+),[^"]*\)" d="[^"]*" fill="([^"]+)"', svg
    )
    right = max(float(x) for x, _ in marks)
    assert len({fill for x, fill in marks if float(x) == right}) == 3


def test_a_line_to_hold_bars_against_crosses_bars_and_neither_names_nor_values() -> None:
    bars = pl.DataFrame({"variant": ["low", "near", "far"], "rate": [10.0, 95.0, 1000.0]})
    svg = _svg(bars_with_ceiling(bars, "Rates", "variant", _RATE, Rule(100.0, "target")))
    place = {
        text: float(x)
        for x, text in re.findall(r'translate\(([\d.]+),[^)]*\)"[^>]*>([^<]+ tokens/s)</text>', svg)
    }
    # Both end just before the line, at a tenth of 560: what is written beside them is behind it.
    assert place["95.0 tokens/s"] == place["10.0 tokens/s"] == pytest.approx(56 + 7)
    assert svg.count("<line") == 0  # no line from top to bottom, through the names


def test_bars_say_above_them_what_their_length_is() -> None:
    assert "Store rate (tokens/s)" in _texts(bars_with_ceiling(_BARS, "KV", "variant", _RATE))
