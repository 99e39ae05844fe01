"""The embedded text: long, English, the same at every call."""

from __future__ import annotations

from workbench.datasets.text import embedded_text


def test_it_is_long_english_and_stable() -> None:
    text = embedded_text()
    assert len(text) > 400_000
    assert text == embedded_text()
    words = text.lower().split()
    assert words.count("the") > 1_000
    assert sum(character.isascii() for character in text) > 0.99 * len(text)
