"""Read layers that pass from the disk, in turn and without end, ahead of their use.

Follows: while one layer is packed and computed with, the next ones are read past the page cache;
after the last comes the first again: what a pass begins with is read while the one before it ends.
Leaves out: which layers pass, and packing (weights.py). Packing in a thread of its own beside the
products was tried: it took their processors at every barrier, and decoding was five times slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf import ModelMap, Tensor
from workbench.tiering.mmap_gguf.direct_reader import DirectReader
from workbench.tiering.mmap_gguf.layers import Group
from workbench.tiering.reserved_memory import ReservedMemory

# Of one small layer after the other the disk gives 0.6 of what it gives of two at a time.
_READERS = 2
# Layers that are being read or packed.
STAGED = _READERS + 1


class _Read(NamedTuple):
    turn: int
    buffer: NDArray[np.uint8]
    tensors: Future[dict[str, Tensor]]


class LayerStream(Closing):
    """Layers in turn. For one thread at a time.

    Attributes
    ----------
    read_bytes : int    of layers that were taken
    waited_s : float    seconds that `take` waited
    """

    def __init__(self, model: ModelMap, groups: Sequence[Group]) -> None:
        """Begin to read.

        Parameters
        ----------
        model : ModelMap            stays the caller's to close, after this
        groups : sequence of Group  each layer's matrices, in the order of their use; at least one

        Raises
        ------
        GGUFError      if another file lies where one of the model's was opened
        StorageError   if a file cannot be opened for direct reads
        """
        self._groups = tuple(groups)
        self._reader = DirectReader(model)
        self._thread = ThreadPoolExecutor(_READERS, "weights")
        self._free = [_memory(staged_bytes(groups)) for _ in range(STAGED)]
        self._reads: deque[_Read] = deque()
        self._turn = 0
        self.read_bytes, self.waited_s = 0, 0.0
        self._read_on()

    def begin(self) -> None:
        """Make it the first layer's turn, whatever a failed pass left behind."""
        behind = self._turn % len(self._groups)
        if behind:
            self._turn += len(self._groups) - behind
            self._forget()
        self._read_on()

    def is_read(self) -> bool:
        """Tell whether `take` would not wait."""
        return bool(self._reads) and self._reads[0].tensors.done()

    def take(self) -> dict[str, Tensor]:
        """Return the tensors of the layer whose turn it is; they are good until `give_back`.

        Raises
        ------
        GGUFError      if a file changed since the model was opened
        StorageError   if bytes cannot be read; `begin` before trying again

        Cost    waiting for what of it is not read yet.
        """
        start = perf_counter()
        self._read_on()
        try:
            tensors = self._reads[0].tensors.result()
        except BaseException:
            self._forget()
            raise
        self.waited_s += perf_counter() - start
        return tensors

    def give_back(self) -> None:
        """Let the layer that was taken go; it is the next one's turn."""
        self.read_bytes += self._group(self._turn).page_bytes
        self._free.append(self._reads.popleft().buffer)
        self._turn += 1
        self._read_on()

    def close(self) -> None:
        """Wait for what is being read and close the files; twice is harmless."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._reader.close()
        self._reads.clear()
        self._free.clear()

    def _group(self, turn: int) -> Group:
        return self._groups[turn % len(self._groups)]

    def _read_on(self) -> None:
        """Read into what is free: what comes after all that is being read."""
        turn = self._reads[-1].turn + 1 if self._reads else self._turn
        while self._free:
            buffer = self._free.pop()
            tensors = self._thread.submit(self._reader.read, self._group(turn), buffer)
            self._reads.append(_Read(turn, buffer, tensors))
            turn += 1

    def _forget(self) -> None:
        """Take the buffers back; one whose read failed may still be written to and is replaced."""
        wait([read.tensors for read in self._reads])
        while self._reads:
            read = self._reads.popleft()
            failed = read.tensors.exception() is not None
            self._free.append(_memory(len(read.buffer)) if failed else read.buffer)


def staged_bytes(groups: Sequence[Group]) -> int:
    """Return the bytes of a buffer that any of the layers fits into."""
    return max(group.page_bytes for group in groups)


def _memory(n_bytes: int) -> NDArray[np.uint8]:
    """Return memory that takes no byte more, huge pages or not."""
    return ReservedMemory(n_bytes).hold(0, n_bytes)
