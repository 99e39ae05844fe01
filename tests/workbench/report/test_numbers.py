import math

import pytest

from workbench.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (0.30, "0.300"),
        (0.000123456, "0.000123"),
        (0.99951, "1.00"),
        (1.234, "1.23"),
        (9.996, "10.0"),
        (12.345, "12.3"),
        (99.96, "100"),
        (5046.4, "5,046"),
        (10_638_298, "10,638,298"),
        (-2.5, "-2.50"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_a_number_has_about_three_digits(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1023, "bytes", "1,023 bytes"),
        (1024, "bytes", "1.00 KiB"),
        (1.5 * 2**30, "bytes", "1.50 GiB"),
        (2.12, "GB/s", "2.12 GB/s"),
        (42.123, "us", "42.1 µs"),
        (1.234, "x", "1.23×"),
        (28.71, "ratio", "28.7×"),
        (412.4, "x", "412×"),
        (7.0, "", "7.00"),
        (None, "GB/s", "–"),
    ],
)
def test_a_quantity_carries_its_unit(value: float | None, unit: str, text: str) -> None:
    assert numbers.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.420 s"),
        (12.31, "12.3 s"),
        (59.99, "1 min 00 s"),
        (187.4, "3 min 07 s"),
        (3840, "1 h 04 min"),
        (None, "–"),
    ],
)
def test_a_duration_is_read_at_a_glance(seconds: float | None, text: str) -> None:
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(("claim", "text"), [(">= 2x", "≥ 2×"), ("<= 0.8", "≤ 0.8")])
def test_a_claim_is_printed_with_proper_signs(claim: str, text: str) -> None:
    assert numbers.claim_text(claim) == text


@pytest.mark.parametrize(("claim", "factor"), [(">= 2x", 2.0), ("<= 0.8", 0.8), (" > 10x ", 10.0)])
def test_a_claim_names_a_ratio(claim: str, factor: float) -> None:
    assert numbers.claim_factor(claim) == factor


def test_a_metric_s_abbreviations_are_written_out() -> None:
    assert numbers.metric_name("kl") == "KL divergence"
    assert numbers.metric_name("network_ttft") == "network time to first token"
    assert numbers.metric_name("ttft_mean") == "mean time to first token"
    assert numbers.metric_name("storage_read") == "storage read"
