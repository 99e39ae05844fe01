"""Places where reads ended are remembered, the oldest forgotten, streams never."""

from __future__ import annotations

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.heads import Heads, head_key
from workbench.tiering.async_io.stream import Stream


def read(offset: int, file: int = 3, n_bytes: int = 4096) -> Request:
    return Request("read", file, offset, memoryview(bytearray(n_bytes)))


def test_a_read_is_remembered_by_where_it_ended_and_by_its_file() -> None:
    heads = Heads()
    heads.note(read(8192))
    assert heads.places == {head_key(3, 12288): 1}
    assert head_key(3, 12288) != head_key(4, 12288)


def test_a_write_leads_nowhere() -> None:
    heads = Heads()
    heads.note(Request("write", 3, 0, memoryview(bytearray(4096))))
    assert heads.places == {}


def test_what_is_known_of_a_place_is_kept() -> None:
    heads = Heads()
    heads.expect(head_key(3, 4096), 2)
    heads.note(read(0))
    assert heads.places == {head_key(3, 4096): 2}


def test_the_oldest_of_seventeen_runs_is_forgotten_and_a_stream_in_its_place_is_not() -> None:
    heads = Heads()
    for number in range(16):
        heads.note(read(number << 20))
    oldest, second = head_key(3, 4096), head_key(3, (1 << 20) + 4096)
    heads.note(read(16 << 20))
    assert oldest not in heads.places
    heads.places[second] = Stream(3, (1 << 20) + 4096)
    heads.note(read(17 << 20))
    assert isinstance(heads.places[second], Stream)
    assert len(heads.candidates) == 16
