import base64
import hashlib
import re
from pathlib import Path

import pytest

from workbench.report import shell
from workbench.report.bench_rows import BenchTable
from workbench.report.index_page import render_index

_HASH = re.compile(r"'sha256-([^']+)'")


def test_the_policy_names_exactly_the_scripts_on_the_page(registry: Path) -> None:
    html = render_index([], {}, BenchTable((), ()))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]
    assert scripts
    assert _HASH.findall(allowed) == digests
    assert allowed.startswith("default-src 'none'")
    assert "unsafe-eval" not in allowed
    assert "script-src 'unsafe-inline'" not in allowed


def test_a_page_without_charts_carries_no_bundle(registry: Path) -> None:
    assert len(render_index([], {}, BenchTable((), ()))) < 60_000


def test_our_own_scripts_are_short() -> None:
    for path in (Path(shell.__file__).parent / "templates").glob("*.js"):
        assert len(path.read_text().splitlines()) <= 60, path.name


@pytest.mark.parametrize(
    ("iso", "shown"),
    [
        ("2026-11-24T03:40:12.123+00:00", "24 Nov 2026, 03:40 UTC"),
        ("2026-11-24T23:40:00+02:00", "24 Nov 2026, 21:40 UTC"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_is_written_for_people(iso: str, shown: str) -> None:
    assert shell.moment(iso) == shown
