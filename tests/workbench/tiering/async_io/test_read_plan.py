"""A plan knows how much of its batch needs no read."""

from __future__ import annotations

from workbench.tiering.async_io.read_plan import Plan
from workbench.tiering.async_io.stream import Chunk, Piece


def test_the_bytes_of_all_pieces_are_counted() -> None:
    chunk = Chunk(0, 8192, memoryview(bytearray(8192)))
    plan = Plan(
        {0: [Piece(chunk, 0, 0, 100), Piece(chunk, 100, 100, 28)], 5: [Piece(chunk, 0, 0, 1)]}
    )
    assert plan.n_bytes == 129
    assert Plan().n_bytes == 0


def test_plans_share_nothing() -> None:
    first, second = Plan(), Plan()
    first.wanted.append((1, Chunk(0, 1, memoryview(bytearray(1)))))
    assert second.wanted == []
