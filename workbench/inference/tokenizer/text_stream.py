"""Turn token ids into text as they come, never showing half a character.

Follows: UTF-8: a character's first byte says how many follow; what can never become a character
is shown as U+FFFD at once.
Leaves out: when to stop, and where the text goes.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable


class TextStream:
    """A decoder that keeps the bytes of an unfinished character until the rest arrives."""

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        """Make an empty stream.

        Parameters
        ----------
        piece : callable    token id -> the token's bytes
        """
        self._piece = piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token_id: int) -> str:
        """Return the characters that a token completes; may be empty.

        Raises
        ------
        UsageError   if the id is outside the vocabulary
        """
        return self._decoder.decode(self._piece(token_id))

    def finish(self) -> str:
        """Return what is left: U+FFFD if the last character never came whole."""
        return self._decoder.decode(b"", final=True)
