import json
import re
from types import ModuleType

from workbench.report import sweep_charts
from workbench.report.figures import Figure, bundle, chart_spec
from workbench.runs.swept import Swept


def _svg(figure: Figure | None) -> str:
    assert figure is not None
    return str(bundle(figure)["image/svg+xml"])


def _sweep(samples: ModuleType, *ratios: float | None, **changes: object) -> Swept:
    sizes = (64, 128, 256, 512)
    return Swept.of(
        [
            samples.swept(n, ratio, params={"ssd_gib": size}, **({} if ratio else changes))
            for n, (ratio, size) in enumerate(zip(ratios, sizes, strict=False))
        ]
    )


def test_runs_of_one_machine_are_drawn_with_those_that_were_lost(samples: ModuleType) -> None:
    sweep = Swept.of(samples.sweep_records())
    here = [run for run in sweep.records if run.machine_id in ("0f3a1b2c4d5e", "")]
    figure = sweep_charts.ratios(sweep, here)
    svg = _svg(figure)
    assert figure.title == "Ratio with its interval by ssd_gib, codec and policy"
    for text in ("policy=lru", "policy=s3_fifo", "claim ≥ 1.2×", "no change", "ssd_gib", "✗"):
        assert f">{text}<" in svg, text
    assert figure.alt.endswith(
        "Without a ratio: 256, none, policy=lru: failed; "
        "256, int8, policy=lru: killed, begun 3 times."
    )
    assert "highest 3.35×, interval 3.28× to 3.42× (256, int8, policy=s3_fifo)" in figure.alt


def test_a_sweep_of_one_parameter_has_no_legend_and_no_panels(samples: ModuleType) -> None:
    sweep = _sweep(samples, 1.5, 2.0, 2.5)
    figure = sweep_charts.ratios(sweep, sweep.records)
    (panel,) = chart_spec(figure)["vconcat"]
    assert "title" not in panel
    assert '"legend": {' not in json.dumps(panel)
    assert "no ratio" not in _svg(figure)
    assert figure.title == "Ratio with its interval by ssd_gib"


def test_a_run_that_failed_is_a_mark_below_the_plot(samples: ModuleType) -> None:
    sweep = _sweep(samples, 1.5, None, 2.5, status="timed_out")
    svg = _svg(sweep_charts.ratios(sweep, sweep.records))
    assert ">✗<" in svg
    assert ">timed out<" in svg
    assert ">no ratio<" in svg


def test_ratios_that_do_not_count_are_hollow(samples: ModuleType) -> None:
    sweep = _sweep(samples, 1.5, 2.0)
    first = sweep.records[0].model_copy(update={"status": "undecided"})
    svg = _svg(sweep_charts.ratios(sweep, [first, sweep.records[1]]))
    dots = re.findall(r'<path transform[^>]*d="M4,0A4[^>]*>', svg)
    assert sorted(re.findall(r'(fill|stroke)="#', "".join(dots))) == ["fill", "stroke"]


def test_without_a_ratio_or_a_swept_parameter_there_is_no_chart(samples: ModuleType) -> None:
    failed = _sweep(samples, None, None, status="failed")
    assert sweep_charts.ratios(failed, failed.records) is None
    single = _sweep(samples, 2.0)
    assert sweep_charts.ratios(single, single.records) is None


def test_claims_that_differ_are_not_drawn_as_one(samples: ModuleType) -> None:
    sweep = _sweep(samples, 1.5, 2.0)
    first = sweep.records[0]
    other = first.model_copy(
        update={"verdict": first.verdict.model_copy(update={"claim": ">= 3x"})}
    )
    mixed = Swept.of([other, sweep.records[1]])
    assert ">claim" not in _svg(sweep_charts.ratios(mixed, mixed.records))


def test_long_names_along_the_axis_are_turned(samples: ModuleType) -> None:
    names = ("recency_frequency", "w_tinylfu", "s3_fifo")
    sweep = Swept.of(
        [samples.swept(n, 2.0, params={"policy": name}) for n, name in enumerate(names)]
    )
    assert '"labelAngle": -40' in json.dumps(chart_spec(sweep_charts.ratios(sweep, sweep.records)))
