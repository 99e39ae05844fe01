"""Read a model's layers past the page cache into memory of our own, within a budget of bytes.

Follows: layer_plan.py. Layers that stay are read once; those that pass go through two places, one
in use while a thread reads the next one into the other.
Leaves out: sharing memory between processes, which mapped files do (mapped_layers.py).

A file that is cut meanwhile ends in an error here, not in a killed process.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from workbench.tiering.async_io.open_engine import Kind
from workbench.tiering.closing import Closing
from workbench.tiering.memory import allocate, require_memory
from workbench.tiering.mmap_gguf.direct_reader import DirectReader
from workbench.tiering.mmap_gguf.layer_plan import PLACES, LayerPlan, plan_layers
from workbench.tiering.mmap_gguf.layers import Group, group_tensors
from workbench.tiering.mmap_gguf.model_map import ModelMap
from workbench.tiering.mmap_gguf.tensors import Tensor

Tensors = dict[str, Tensor]


class DirectLayers(Closing):
    """A `LayerSource` over direct reads.

    Attributes
    ----------
    plan : LayerPlan        which layers stay in memory
    rest : mapping          the tensors that belong to no layer, by name
    reader : DirectReader   what reads; its stats say whether the page cache was bypassed
    """

    def __init__(
        self, model: ModelMap, budget_bytes: int, *, kind: Kind = "auto", depth: int = 32
    ) -> None:
        """Plan, and read what stays.

        Parameters
        ----------
        model : ModelMap     stays the caller's to close
        budget_bytes : int   of weights in memory
        kind, depth          of the engine, as `open_engine` takes them

        Raises
        ------
        GGUFError      if layers are missing or a file changed
        UsageError     if the budget is too small, or larger than the memory that is available
        StorageError   if a file cannot be read

        Cost    the disk's time for all that stays.
        """
        groups = group_tensors(model.header)
        self._layers = groups.layers
        sizes = [group.page_bytes for group in groups.layers]
        self.plan: LayerPlan = plan_layers(sizes, groups.rest.page_bytes, budget_bytes)
        require_memory(self.plan.needed_bytes, "the model's weights", "lower weights_budget")
        self._thread = ThreadPoolExecutor(1, "weights")
        self._places = [allocate(self.plan.place_bytes) for _ in range(self._n_places())]
        # Which layer is, or is about to be, in each place.
        self._in_place: dict[int, tuple[int, Future[Tensors]]] = {}
        self._staying: dict[int, Tensors] = {}
        self.reader = DirectReader(model, kind=kind, depth=depth)
        try:
            self.rest: Mapping[str, Tensor] = self._read_apart(groups.rest)
            for layer, passes in enumerate(self.plan.passing):
                if not passes:
                    self._staying[layer] = self._read_apart(groups.layers[layer])
        except BaseException:
            self.close()
            raise

    def layer(self, index: int) -> Mapping[str, Tensor]:
        """Return a layer's tensors; see `LayerSource.layer`.

        Cost    waiting for what of it is not read yet.
        """
        if not 0 <= index < len(self._layers):
            raise IndexError(f"layer {index} of {len(self._layers)}")
        if not any(self.plan.passing):
            return self._staying[index]
        if not self.plan.passing[index]:
            self._begin(self.plan.next_passing(index), keep=index)
            return self._staying[index]
        tensors = self._begin(index, keep=index).result()
        self._begin(self.plan.next_passing(index), keep=index)
        return tensors

    def close(self) -> None:
        """Wait for what is being read and close the files; closing twice is harmless."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.reader.close()

    def _n_places(self) -> int:
        return min(PLACES, sum(self.plan.passing))

    def _begin(self, layer: int, keep: int) -> Future[Tensors]:
        """Return the read of a layer, begun if it was not, in the place that ``keep`` is not in."""
        for held, read in self._in_place.values():
            if held == layer and not _failed(read):
                return read
        place = next(
            place
            for place in range(len(self._places))
            if keep == layer or place not in self._in_place or self._in_place[place][0] != keep
        )
        if place in self._in_place and _failed(self._in_place[place][1]):
            # What missed its deadline may still land in the old memory.
            self._places[place] = allocate(self.plan.place_bytes)
        read = self._thread.submit(self.reader.read, self._layers[layer], self._places[place])
        self._in_place[place] = (layer, read)
        return read

    def _read_apart(self, group: Group) -> Tensors:
        return self.reader.read(group, allocate(group.page_bytes))


def _failed(read: Future[Tensors]) -> bool:
    return read.done() and (read.cancelled() or read.exception() is not None)
