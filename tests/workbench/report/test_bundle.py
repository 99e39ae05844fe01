import re
from pathlib import Path

import pytest
import vl_convert

from workbench.report.bundle import cache_path, vega_bundle


def test_the_script_is_built_once_and_then_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    script = vega_bundle()
    assert cache_path().read_text(encoding="utf-8") == script

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("built a second time")

    monkeypatch.setattr(vl_convert, "javascript_bundle", refuse)
    assert vega_bundle() == script


def test_the_script_fits_a_page_and_an_element(bundle_cache: Path, registry: Path) -> None:
    script = vega_bundle()
    assert 500_000 < len(script.encode()) < 1_000_000
    assert not re.search(r"</script|<!--", script, re.IGNORECASE)
    assert "vegaEmbed" in script


def test_the_cache_knows_the_version(registry: Path) -> None:
    assert re.search(r"vega-\d+\.\d+-vl-convert-\d+\.\d+", cache_path().name)
