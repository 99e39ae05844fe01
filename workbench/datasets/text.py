"""The English text that is always there: CPython's own language reference, as `help()` carries it.

Leaves out: WikiText-2, the canonical text for perplexity (`workbench data get wikitext-2`).
"""

from __future__ import annotations


def embedded_text() -> str:
    """Return about 700 KB of English prose about Python.

    It is the running interpreter's text: compare numbers within one Python version only.
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))
