"""TextStream: whole characters only, and every byte accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.inference.tokenizer.text_stream import TextStream


def bytewise() -> TextStream:
    return TextStream(lambda token_id: bytes([token_id]))


@given(st.text(max_size=20))
def test_a_text_given_byte_by_byte_comes_out_in_whole_characters(text: str) -> None:
    stream = bytewise()
    shown = [stream.feed(byte) for byte in text.encode()]
    assert "".join(shown) == text
    assert all(len(part) <= 1 for part in shown)
    assert stream.finish() == ""


@given(st.binary(max_size=30))
def test_any_bytes_come_out_as_they_would_at_once(raw: bytes) -> None:
    stream = bytewise()
    shown = "".join(stream.feed(byte) for byte in raw) + stream.finish()
    assert shown == raw.decode("utf-8", "replace")


def test_half_a_character_at_the_end_is_shown_as_replaced() -> None:
    stream = bytewise()
    assert [stream.feed(byte) for byte in "\u20ac".encode()[:2]] == ["", ""]
    assert stream.finish() == "\ufffd"
