"""Give a model's layers as views of its mapped files, with no more of them in memory than allowed.

Follows: layer_plan.py; the kernel reads, this says what and when.
Leaves out: a guarantee. Pages that other processes map stay in memory, and the kernel may drop
pages that were meant to stay; they are then read again when touched. Where weights pass, direct
reads are three to four times faster (direct_layers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf.layer_plan import LayerPlan, plan_layers
from workbench.tiering.mmap_gguf.layers import Group, group_tensors
from workbench.tiering.mmap_gguf.model_map import ModelMap
from workbench.tiering.mmap_gguf.residency import (
    read_only_what_is_touched,
    release,
    release_all,
    wait_for,
    will_need,
)
from workbench.tiering.mmap_gguf.tensors import Tensor


class MappedLayers(Closing):
    """A `LayerSource` over mapped files; whoever asks for a layer is taken to touch all of it.

    Attributes
    ----------
    plan : LayerPlan   which layers stay in memory
    rest : mapping     the tensors that belong to no layer, by name
    """

    def __init__(self, model: ModelMap, budget_bytes: int) -> None:
        """Plan, and begin to read what stays; a model that fits is left to the kernel's read-ahead.

        Parameters
        ----------
        model : ModelMap     stays the caller's to close
        budget_bytes : int   of weights in memory

        Raises
        ------
        GGUFError    if layers are missing
        UsageError   if the budget is too small; names the least

        Cost    0.3 ms a MiB of what stays, if layers pass.
        """
        groups = group_tensors(model.header)
        self._model = model
        self._layers = groups.layers
        sizes = [group.page_bytes for group in groups.layers]
        self.plan: LayerPlan = plan_layers(sizes, groups.rest.page_bytes, budget_bytes)
        self.rest: Mapping[str, Tensor] = self._tensors(groups.rest)
        # Layers that pass and whose pages may be in memory.
        self._here: set[int] = set()
        # Those of them that were asked for and not used yet.
        self._unused: set[int] = set()
        self._thread = ThreadPoolExecutor(1, "read-ahead")
        self._ahead: Future[None] | None = None
        if any(self.plan.passing):
            read_only_what_is_touched(model)
            release_all(model)
            for group in (groups.rest, *self._staying()):
                will_need(model, group.spans)

    def layer(self, index: int) -> Mapping[str, Tensor]:
        """Return a layer's tensors; see `LayerSource.layer`.

        Cost    3 us a tensor; waiting for the reads of this layer to be submitted, if they are not.
        """
        if not 0 <= index < len(self._layers):
            raise IndexError(f"layer {index} of {len(self._layers)}")
        if any(self.plan.passing):
            self._pass_on(index)
        return self._tensors(self._layers[index])

    def close(self) -> None:
        """Let go of the layers that pass; those that stay are left to the page cache."""
        self._thread.shutdown(wait=True)
        for layer in self._here:
            self._let_go(layer)
        self._here.clear()

    def _pass_on(self, index: int) -> None:
        """Release what was used, then ask for what is needed next: never more than two places."""
        if self._ahead is not None:
            # What is released must not be asked for any more.
            self._ahead.result()
            self._ahead = None
        following = self.plan.next_passing(index)
        wanted = {following, index} if self.plan.passing[index] else {following}
        for layer in self._here - wanted:
            self._let_go(layer)
        if index in wanted - self._here:
            will_need(self._model, self._layers[index].spans)
        if following in wanted - self._here:
            spans = self._layers[following].spans
            self._ahead = self._thread.submit(will_need, self._model, spans)
        self._here = wanted
        self._unused.add(following)
        self._unused.discard(index)

    def _let_go(self, layer: int) -> None:
        spans = self._layers[layer].spans
        if layer in self._unused:
            # Its pages may be on their way, and would stay if they came after their release.
            self._unused.discard(layer)
            wait_for(self._model, spans)
        release(self._model, spans)

    def _staying(self) -> list[Group]:
        pairs = zip(self._layers, self.plan.passing, strict=True)
        return [group for group, passes in pairs if not passes]

    def _tensors(self, group: Group) -> dict[str, Tensor]:
        return {tensor.name: self._model.tensor(tensor.name) for tensor in group.tensors}
