"""Put a page together: templates, style, scripts and the content policy that locks it.

Follows: one self-contained file; Jinja escapes every value that is not marked safe.
Leaves out: what stands on a page (run_page.py, index_page.py, compare_page.py).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from workbench.report import numbers, palette
from workbench.report.bundle import vega_bundle
from workbench.report.page_charts import PageChart

MAX_PAGE_BYTES = 2_000_000
_PAGE_SCRIPT = "page.js"
INDEX_SCRIPT = "index.js"


def render(
    template: str, *, scripts: Sequence[str] = (), with_vega: bool = False, **context: object
) -> str:
    """Return a whole page.

    Parameters
    ----------
    template : str    a file of templates/ that extends base.html.j2
    scripts : names   further scripts of templates/, after the page's own
    with_vega : bool  whether the page has charts to draw again, and so carries the bundle
    context : values  what the template shows; escaped unless markupsafe.Markup
    """
    environment = _environment()
    sources = [_source(name) for name in (_PAGE_SCRIPT, *scripts)]
    if with_vega:
        sources.insert(0, vega_bundle())
    return environment.get_template(template).render(
        style=Markup(environment.get_template("style.css.j2").render(roles=palette.ROLES)),
        scripts=[Markup(source) for source in sources],
        policy=_policy(sources),
        generated=moment(datetime.now(UTC).isoformat()),
        **context,
    )


def figure_html(chart: PageChart) -> Markup:
    """Return a chart's ``<figure>`` for a place inside a page."""
    draw = getattr(_environment().get_template("macros.html.j2").module, "figure")  # noqa: B009
    return Markup(draw(chart))


def moment(iso: str) -> str:
    """Return a UTC time as people write it: 24 Nov 2026, 03:40 UTC; unreadable ones as they are."""
    try:
        at = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return iso
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("workbench.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": numbers.number,
        "quantity": numbers.quantity,
        "duration": numbers.duration,
        "claim": numbers.claim_text,
        "plain": numbers.plain_name,
        "moment": moment,
    }
    return environment


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _policy(sources: Sequence[str]) -> str:
    """Return the content policy: our scripts by hash, nothing else runs, nothing is fetched.

    Vega evaluates its expressions with an interpreter (page.js), so 'unsafe-eval' is not needed.
    """
    hashes = " ".join(f"'sha256-{_digest(source)}'" for source in sources)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
