import polars as pl

from workbench.report import alt_text


def test_a_sweep_is_described_by_its_ends_and_extremes() -> None:
    points = pl.DataFrame(
        {"series": ["a_b", "a_b", "c"], "x": [4, 16, 4], "y": [1.0, 3.0, 0.5]},
    )
    assert alt_text.of_sweep(points, "Reads", "KiB", "GB/s") == (
        "Reads: a b from 1.00 GB/s at 4 KiB to 3.00 GB/s at 16 KiB; c from 0.500 GB/s at 4 KiB; "
        "highest 3.00 GB/s (a b, 16 KiB) and lowest 0.500 GB/s (c, 4 KiB)."
    )


def test_bars_are_described_one_by_one_beside_their_rule() -> None:
    bars = pl.DataFrame({"label": ["slow", "fast_one"], "value": [10.0, 25.0]})
    assert alt_text.of_bars(bars, "Rates", "tokens/s", ("the ceiling", 40.0)) == (
        "Rates: slow 10.0 tokens/s, fast one 25.0 tokens/s; highest is fast one, lowest slow; "
        "the ceiling at 40.0 tokens/s."
    )


def test_one_bar_has_no_highest() -> None:
    bars = pl.DataFrame({"label": ["only"], "value": [10.0]})
    assert alt_text.of_bars(bars, "Rates", "", None) == "Rates: only 10.0."


def test_groups_are_described_by_their_largest_and_smallest() -> None:
    bars = pl.DataFrame(
        {
            "group": ["m", "m", "n"],
            "label": ["fp32", "int4", "fp32"],
            "value": [2048.0, 512.0, 1024.0],
        }
    )
    assert alt_text.of_groups(bars, "Memory", "bytes") == (
        "Memory. m: fp32 2.00 KiB down to int4 512 bytes; n: fp32 1.00 KiB."
    )


def test_runs_are_described_by_their_extremes_the_claim_and_those_without_a_ratio() -> None:
    place = {"series": ["", "", ""], "panel": ["", "", ""], "x": ["4", "16", "64"]}
    told = {
        "ratio": [2.0, 1.0, None],
        "text": ["2.00×", "1.00×", "no ratio"],
        "span": ["1.90× to 2.10×", "0.90× to 1.10×", "none"],
        "state": ["Claim holds", "Claim refuted", "Timed out"],
    }
    rows = pl.DataFrame({**place, **told})
    assert alt_text.of_runs(rows, "Ratio by size", ">= 1.5x") == (
        "Ratio by size: 2 runs; lowest 1.00×, interval 0.90× to 1.10× (16); highest 2.00×, "
        "interval 1.90× to 2.10× (4); the claim is ≥ 1.5×. Without a ratio: 64: timed out."
    )
    alone = alt_text.of_runs(rows.head(1), "Ratio by size", "")
    assert alone == "Ratio by size: 1 run; lowest 2.00×, interval 1.90× to 2.10× (4)."
