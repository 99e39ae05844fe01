"""Take numbers and strings from a file, never believing a length before it is checked.

Follows: the lessons of the 2024-2026 GGUF advisories: Python integers only, and every length held
against the bytes that remain before anything is read or allocated.
Leaves out: what the numbers mean (header.py).
"""

from __future__ import annotations

import os
import struct

from workbench.tiering.mmap_gguf.open_file import GGUFError, OpenFile

__all__ = ["Budget", "GGUFError", "Reader"]

# What keys, values and names may take in memory; an honest header takes less than 1 MiB.
_MAX_KEPT_BYTES = 8 << 20
# Steps of the header walk that cost time without costing memory: strings that are passed over.
_MAX_STEPS = 2 << 20
_WINDOW_BYTES = 1 << 20
_U64 = struct.Struct("<Q")


class Budget:
    """What all headers of one model may take together: bytes in memory, and steps of the walk."""

    def __init__(self) -> None:
        self._kept_bytes = 0
        self._steps = 0

    def keep(self, n_bytes: int) -> bool:
        """Count bytes that will stay in memory; answer whether they are still allowed."""
        self._kept_bytes += n_bytes
        return self._kept_bytes <= _MAX_KEPT_BYTES

    def step(self, count: int) -> bool:
        """Count steps that take time; answer whether they are still allowed."""
        self._steps += count
        return self._steps <= _MAX_STEPS


class Reader:
    """A position in an open file of known size; every step forward is checked against its end."""

    def __init__(self, file: OpenFile, budget: Budget | None = None) -> None:
        """Start at the first byte; ``budget`` is shared by the files of one model."""
        self.path = file.path
        self.file_bytes = file.file_bytes
        self.offset = 0
        self._fd = file.fd
        self._budget = budget or Budget()
        self._window = b""
        self._window_start = 0

    @property
    def remaining(self) -> int:
        """Return the bytes between here and the end of the file."""
        return self.file_bytes - self.offset

    def refuse(self, reason: str, offset: int | None = None) -> GGUFError:
        """Return the error to raise about a byte, by default the one at the present position."""
        return GGUFError(self.path, self.offset if offset is None else offset, reason)

    def number(self, layout: struct.Struct) -> int | float | bool:
        """Read one number."""
        start = self._ensure(layout.size)
        value: int | float | bool = layout.unpack_from(self._window, start)[0]
        self.offset += layout.size
        return value

    def u32(self) -> int:
        """Read an unsigned 32-bit integer."""
        return int(self.number(_U32))

    def u64(self) -> int:
        """Read an unsigned 64-bit integer."""
        return int(self.number(_U64))

    def text(self, what: str, max_bytes: int, min_bytes: int = 0) -> str:
        """Read a length-prefixed UTF-8 string of ``min_bytes`` to ``max_bytes`` bytes."""
        n_bytes = self.text_bytes(what, max_bytes, min_bytes)
        self.keep(n_bytes, what)
        at = self._ensure(n_bytes)
        raw = self._window[at : at + n_bytes]
        try:
            decoded = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refuse(
                f"{what} is not UTF-8: {error.reason}", self.offset + error.start
            ) from error
        self.offset += n_bytes
        # One character beyond ASCII makes Python store up to four bytes for each of them.
        self.keep(0 if decoded.isascii() else 3 * n_bytes, what)
        return decoded

    def text_bytes(self, what: str, max_bytes: int, min_bytes: int = 0) -> int:
        """Read a string's length and check it; the string itself comes next."""
        start = self.offset
        n_bytes = self.u64()
        if not min_bytes <= n_bytes <= max_bytes or n_bytes > self.remaining:
            raise self.refuse(
                f"{what} claims {n_bytes} bytes; {min_bytes} to {max_bytes} are allowed "
                f"and {self.remaining} remain",
                start,
            )
        return n_bytes

    def skip(self, n_bytes: int, what: str) -> None:
        """Pass over bytes without reading them."""
        if n_bytes > self.remaining:
            raise self.refuse(f"{what} needs {n_bytes} bytes, {self.remaining} remain in the file")
        self.offset += n_bytes

    def skip_texts(self, count: int, max_bytes: int, what: str) -> None:
        """Pass over ``count`` length-prefixed strings.

        Cost    about 0.2 us a string; their bytes are not decoded and not kept.
        """
        self.step(count, what)
        position, size, unpack = self.offset, self.file_bytes, _U64.unpack_from
        window, start = self._window, self._window_start
        for _ in range(count):
            at = position - start
            if at + 8 > len(window):
                self.offset = position
                self._ensure(8)
                window, start = self._window, self._window_start
                at = position - start
            n_bytes = unpack(window, at)[0]
            if n_bytes > max_bytes or position + 8 + n_bytes > size:
                raise self.refuse(f"a string of {n_bytes} bytes in {what} does not fit", position)
            position += 8 + n_bytes
        self.offset = position

    def keep(self, n_bytes: int, what: str) -> None:
        """Count bytes that will stay in memory and refuse a header that holds too many."""
        if not self._budget.keep(n_bytes):
            raise self.refuse(f"with {what} the header's values pass {_MAX_KEPT_BYTES >> 20} MiB")

    def step(self, count: int, what: str) -> None:
        """Count steps that take time and refuse a header that asks for too many."""
        if not self._budget.step(count):
            raise self.refuse(f"with {what} the header's arrays pass {_MAX_STEPS} strings")

    def _ensure(self, n_bytes: int) -> int:
        """Have the next bytes in the window and return where in it they begin."""
        if n_bytes > self.remaining:
            raise self.refuse(
                f"{n_bytes} bytes are needed here, {self.remaining} remain: truncated"
            )
        at = self.offset - self._window_start
        if not 0 <= at <= at + n_bytes <= len(self._window):
            self._window = os.pread(self._fd, max(n_bytes, _WINDOW_BYTES), self.offset)
            self._window_start = self.offset
            at = 0
            if len(self._window) < n_bytes:
                raise self.refuse("the file became shorter while it was read")
        return at


_U32 = struct.Struct("<I")
