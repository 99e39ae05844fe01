"""Know the bytes of every token, which may be part of a character.

Follows: GPT-2's byte alphabet, SentencePiece's blank and its byte tokens ``<0x0A>``.
Leaves out: joining them to text (text_stream.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from workbench.errors import UsageError
from workbench.inference.tokenizer.sentencepiece import SPACE
from workbench.inference.tokenizer.vocabulary import BYTE, UNUSED, Vocabulary

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_alphabet() -> dict[int, str]:
    """Return the printable character that stands for each byte in a byte-level vocabulary.

    Printable bytes stand for themselves; the others, in order, for the characters from 256 on.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return {
        byte: chr(byte) if byte in printable else chr(256 + others.index(byte))
        for byte in range(256)
    }


_BYTES = {char: bytes([byte]) for byte, char in byte_alphabet().items()}


class TokenBytes:
    """The bytes of one vocabulary's tokens, worked out when asked for: about 1 us a token."""

    def __init__(self, vocabulary: Vocabulary, literal_ids: Collection[int]) -> None:
        """Check the byte tokens.

        Parameters
        ----------
        vocabulary : Vocabulary
        literal_ids : collection of int   special tokens: they stand there as they are shown

        Raises
        ------
        UsageError   if a token of the kind "byte" names no byte
        """
        self._vocabulary = vocabulary
        self._byte_level = vocabulary.model == "gpt2"
        kinds = enumerate(vocabulary.kinds.tolist())
        odd = {token_id: kind for token_id, kind in kinds if kind in (BYTE, UNUSED)}
        self._fixed = {
            token_id: _named_byte(vocabulary.tokens[token_id]) if kind == BYTE else b""
            for token_id, kind in odd.items()
        } | {token_id: vocabulary.tokens[token_id].encode() for token_id in literal_ids}

    def __getitem__(self, token_id: int) -> bytes:
        if token_id in self._fixed:
            return self._fixed[token_id]
        token = self._vocabulary.tokens[token_id]
        if self._byte_level:
            return b"".join(_BYTES.get(char) or char.encode() for char in token)
        return token.replace(SPACE, " ").encode()


def _named_byte(token: str) -> bytes:
    named = _BYTE_TOKEN.fullmatch(token)
    if named is None:
        raise UsageError(f"the model's byte token {token[:80]!r} is not of the form '<0x0A>'")
    return bytes.fromhex(named[1])
