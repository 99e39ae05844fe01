"""A window gives out each byte from the right chunk, and stays in one piece."""

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tiering.async_io.stream import Chunk, Stream


def stream_with(*chunks, position=0):
    stream = Stream(1, position)
    for start, n_bytes in chunks:
        stream.chunks.append(Chunk(start, n_bytes, memoryview(bytes(n_bytes))))
    return stream


def places(pieces):
    return [(one.at, one.chunk.start + one.start, one.n_bytes) for one in pieces]


def test_a_read_across_chunks_takes_a_piece_of_each():
    stream = stream_with((0, 10), (10, 10), position=4)
    assert places(stream.take(10)) == [(0, 4, 6), (6, 10, 4)]
    assert (stream.position, stream.run) == (14, 2)
    assert [chunk.used_bytes for chunk in stream.chunks] == [6, 4]
    assert [chunk.start for chunk in stream.passed()] == [0]
    assert places(stream.take(10)) == [(0, 14, 6)]
    assert stream.window_end == 24


def test_a_chunk_that_was_passed_but_not_taken_out_gives_nothing():
    stream = stream_with((0, 10), (10, 10))
    stream.take(10)
    assert places(stream.take(5)) == [(0, 10, 5)]


def test_nothing_is_taken_beyond_a_hole():
    stream = stream_with((10, 10))
    assert stream.take(5) == []
    stream = stream_with((0, 5), (10, 5))
    assert places(stream.take(15)) == [(0, 0, 5)]


def test_cutting_takes_the_end_of_the_window():
    stream = stream_with((0, 10), (10, 10), (20, 10))
    assert [chunk.start for chunk in stream.cut(15)] == [20, 10]
    assert stream.window_end == 10
    assert [chunk.start for chunk in stream.cut(-1)] == [0]
    assert stream.window_end == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    chunks=st.lists(st.integers(1, 9), max_size=6),
    reads=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=10),
)
def test_pieces_are_the_front_of_what_is_asked(chunks, reads):
    start, spans = 0, []
    for n_bytes in chunks:
        spans.append((start, n_bytes))
        start += n_bytes
    stream = stream_with(*spans)
    for n_bytes, pops in reads:
        at = stream.position
        pieces = stream.take(n_bytes)
        covered = max(0, min(at + n_bytes, start) - at)
        assert sum(piece.n_bytes for piece in pieces) == covered
        for piece in pieces:
            assert piece.n_bytes > 0
            assert piece.chunk.start + piece.start == at + piece.at
            assert piece.start + piece.n_bytes <= piece.chunk.n_bytes
        if pops:
            assert all(chunk.end <= stream.position for chunk in stream.passed())
