"""Know which bytes have a write on its way to them, so that nobody overtakes it.

Follows: store-to-load hazards: a request waits for an earlier write to the same bytes.
Leaves out: reads (nothing has to wait for them) and whole files (syncs).
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.tiering.async_io.engine import Request

# Spans are kept by the megabyte they lie in: a lookup sees only its neighbourhood.
_BUCKET_BITS = 20


class PendingWrites:
    """The spans of files that queued writes will change; its owner's lock guards it."""

    def __init__(self) -> None:
        self._spans: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, requests: Iterable[Request]) -> None:
        """Note the writes among the requests."""
        for request in requests:
            if request.op == "write":
                span = _span(request)
                for key in _keys(request.file, span):
                    self._spans.setdefault(key, []).append(span)

    def remove(self, requests: Iterable[Request]) -> None:
        """Forget writes that were noted."""
        for request in requests:
            if request.op == "write":
                span = _span(request)
                for key in _keys(request.file, span):
                    spans = self._spans[key]
                    spans.remove(span)
                    if not spans:
                        del self._spans[key]

    def overlaps(self, request: Request) -> bool:
        """Return whether a request touches bytes that a write is on its way to."""
        start, end = span = _span(request)
        return any(
            start < stop and begin < end
            for key in _keys(request.file, span)
            for begin, stop in self._spans.get(key, ())
        )


def _span(request: Request) -> tuple[int, int]:
    return request.offset, request.offset + request.n_bytes


def _keys(file: int, span: tuple[int, int]) -> list[tuple[int, int]]:
    start, end = span
    first, last = start >> _BUCKET_BITS, end - 1 >> _BUCKET_BITS
    # No key at all for an empty span: it touches nothing.
    return [(file, bucket) for bucket in range(first, last + 1) if end > start]
