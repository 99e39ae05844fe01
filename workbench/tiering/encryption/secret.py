"""Hold bytes that must not be shown: no repr, no pickle, no comparison gives them away.

Follows: a traceback that shows variables shows their repr.
Leaves out: wiping. Python copies bytes as it likes, and nothing it freed is ever cleared for sure.
"""

from __future__ import annotations

import os
from typing import NoReturn

SECRET_BYTES = 32


class Secret:
    """Secret bytes; call `reveal` inside the call that needs them, and keep no variable of it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def random(cls, n_bytes: int = SECRET_BYTES) -> Secret:
        """Return fresh random bytes of the system's generator."""
        return cls(os.urandom(n_bytes))

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._value

    def split(self) -> tuple[Secret, Secret]:
        """Return the first half and the second."""
        half = len(self._value) // 2
        return Secret(self._value[:half]), Secret(self._value[half:])

    def joined(self, other: Secret) -> Secret:
        """Return these bytes and those of another one behind them."""
        return Secret(self._value + other._value)

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled")
