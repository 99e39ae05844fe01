"""One copy of Vega, Vega-Lite and Vega-Embed as a single script, for pages that draw offline.

Follows: vl-convert's javascript_bundle, which is minified and asks nothing of the network.
Leaves out: the page's own scripts (templates/).
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import vl_convert

from workbench import paths
from workbench.report.figures import vega_lite_version
from workbench.runs.publish import write_atomic

# Only the embedder is exposed; page.js turns its interpreter on, so that no eval is needed.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def vega_bundle() -> str:
    """Return the script, about 0.9 MB, from the cache when this version was built before.

    Cost    2 to 6 s the first time a version is used, then one file read.
    """
    cached = cache_path()
    if cached.is_file():
        return cached.read_text(encoding="utf-8")
    script = str(vl_convert.javascript_bundle(_SNIPPET, vl_version=vega_lite_version()))
    cached.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(cached, script.encode())
    return script


def cache_path() -> Path:
    """Return where this version's bundle is kept."""
    name = f"vega-{vega_lite_version()}-vl-convert-{version('vl-convert-python')}.js"
    return paths.data() / "cache" / name
