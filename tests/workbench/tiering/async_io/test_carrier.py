"""Carrier: writes drop what was read ahead before they begin and when they are over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workbench.tiering.async_io.carrier import Carrier
from workbench.tiering.async_io.engine import PAGE_BYTES, Completion, Request, StorageError
from workbench.tiering.async_io.merge import GAP_BYTES, Merger


class Spy:
    """An engine that fails on demand and a read-ahead, which note what is asked of them."""

    def __init__(self, error: StorageError | None = None) -> None:
        self.said: list[str] = []
        self._error = error

    def submit(self, batch: Sequence[Request], deadline_s: float = 1.0) -> list[Completion]:
        self.said += [one.op for one in batch]
        if self._error is not None:
            raise self._error
        return [Completion(one, one.n_bytes, None) for one in batch]

    def overwritten(self, writes: Sequence[Request], done: Sequence[Completion] = ()) -> None:
        self.said.append(f"{len(writes)} overwritten, {len(done)} done")


def carrier(spy: Spy, ahead: bool = True) -> Carrier:
    merger = Merger(order=True, merge=True, gap_bytes=GAP_BYTES, merged_bytes=1 << 20)
    return Carrier(spy, merger, spy if ahead else None)  # type: ignore[arg-type]


def request(op: str, page: int = 0) -> Request:
    return Request(op, 3, page * PAGE_BYTES, memoryview(bytearray(PAGE_BYTES)))  # type: ignore[arg-type]


def test_a_write_drops_before_it_begins_and_after_its_end() -> None:
    spy = Spy()
    moved = carrier(spy).carry([request("write")], 1.0, 1)
    assert spy.said == ["1 overwritten, 0 done", "write", "1 overwritten, 1 done"]
    assert [one.error for one in moved.completions] == [None]


def test_so_does_a_write_that_the_engine_refuses() -> None:
    spy = Spy(StorageError("closed"))
    with pytest.raises(StorageError, match="closed"):
        carrier(spy).carry([request("write")], 1.0, 1)
    assert spy.said == ["1 overwritten, 0 done", "write", "1 overwritten, 0 done"]


@pytest.mark.parametrize(("op", "ahead"), [("read", True), ("write", False)])
def test_reads_drop_nothing_nor_do_writes_without_read_ahead(op: str, ahead: bool) -> None:
    spy = Spy()
    carrier(spy, ahead).carry([request(op)], 1.0, 1)
    assert spy.said == [op]


def test_a_queued_batch_drops_what_its_writes_will_change() -> None:
    spy = Spy()
    carrier(spy).overwrite([request("read"), request("write", 1), request("write", 2)])
    assert spy.said == ["2 overwritten, 0 done"]
    carrier(spy, ahead=False).overwrite([request("write")])
    assert len(spy.said) == 1
