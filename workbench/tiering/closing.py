"""Let what has to be closed be used in a ``with`` statement.

Follows: contextlib.AbstractContextManager, whose exit does nothing.
Leaves out: what closing is.
"""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self


class Closing(abc.ABC):
    """Something with a `close` that is called at the end of its ``with`` block."""

    @abc.abstractmethod
    def close(self) -> object:
        """Give everything back; closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
