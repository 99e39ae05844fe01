"""Memory of chunks is bounded, lent again when it is safe, and never while it is not."""

from __future__ import annotations

import pytest

from workbench.tiering.async_io.chunk_memory import ChunkMemory
from workbench.tiering.async_io.stream import Chunk

N = 4096


def dropped(memory: ChunkMemory, **state: object) -> Chunk:
    buffer = memory.take()
    assert buffer is not None
    chunk = Chunk(0, N, buffer, state="ready", dropped=True)
    for name, value in state.items():
        setattr(chunk, name, value)
    return chunk


def test_there_are_no_more_buffers_than_the_limit() -> None:
    memory = ChunkMemory(N, 2)
    lent = [memory.take() for _ in range(3)]
    assert [buffer is None or buffer.nbytes for buffer in lent] == [N, N, True]
    assert memory.n_buffers == 2


def test_memory_that_nobody_uses_is_lent_again() -> None:
    memory = ChunkMemory(N, 1)
    chunk = dropped(memory)
    buffer = chunk.buffer
    memory.recycle(chunk)
    memory.recycle(chunk)
    assert memory.take() is buffer
    assert memory.take() is None
    assert chunk.buffer.nbytes == 0


@pytest.mark.parametrize(
    "state", [{"state": "flying"}, {"holders": 1}, {"dropped": False}], ids=lambda one: str(one)
)
def test_memory_in_use_is_not_taken_back(state: dict[str, object]) -> None:
    memory = ChunkMemory(N, 1)
    chunk = dropped(memory, **state)
    memory.recycle(chunk)
    assert memory.free == []
    assert chunk.buffer.nbytes == N


def test_memory_that_the_device_may_still_write_into_is_given_up() -> None:
    memory = ChunkMemory(N, 1)
    chunk = dropped(memory, lost=True, state="failed")
    buffer = chunk.buffer
    memory.recycle(chunk)
    assert (memory.free, memory.n_buffers) == ([], 0)
    assert memory.take() is not buffer
