"""Decode texts that lie cold on the SSD, reading all of them or a choice, and compare the answers.

Follows: teacher forcing behind a long context; bytes are the SSD tier's own count, quality is held
against the run that reads everything, time is what a token really took.
Leaves out: how much each layer may read (layer_needs.py measures that on another text).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.benchmark.progress import track
from workbench.benchmark.scratch_files import scratch_folder
from workbench.benchmark.selection.answers import joined
from workbench.benchmark.selection.cold_text import scratch_bytes, stored
from workbench.benchmark.selection.partial_outcomes import Outcome, PartialLoading
from workbench.benchmark.selection.real_text import KeysValues, compute
from workbench.benchmark.selection.text_decoder import Decoded, Decoder
from workbench.benchmark.selection.ways import EVERYTHING, Way
from workbench.inference.llama import LlamaModel


def measure(
    model: LlamaModel,
    store: Path,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    all_ways: Sequence[Way],
    needs: Sequence[float],
) -> PartialLoading:
    """Decode what follows each text in every way.

    Parameters
    ----------
    store : Path          folder on the disk to measure
    texts : sequence      token ids of a context, a whole number of blocks, and of what follows
    all_ways : sequence   the first reads everything, in float16
    needs : sequence      one a layer: what budgets by need are in proportion to

    Raises
    ------
    MediumError   if the disk does not hold the text, or reads come from the page cache

    Cost    one prefill a text, and 50 to 200 ms a token and way at 4,096 tokens of the 135M model.
    """
    parts: list[dict[Way, Decoded]] = []
    for number, (ids, following) in enumerate(texts):
        text = compute(model, list(ids))
        parts.append(_of_text(model, store, text, list(following), all_ways, needs, number))
    first = all_ways[0]
    exact_bytes = float(np.mean([part[first].read_bytes for part in parts]))
    outcomes = {way: _joined(way, parts, all_ways, exact_bytes) for way in all_ways}
    n_tokens = sum(len(following) for _, following in texts)
    return PartialLoading(outcomes, n_tokens, len(texts[0][0]))


def _of_text(
    model: LlamaModel,
    store: Path,
    text: KeysValues,
    following: list[int],
    all_ways: Sequence[Way],
    needs: Sequence[float],
    number: int,
) -> dict[Way, Decoded]:
    n_layouts = len({way.layout for way in all_ways})
    needed = scratch_bytes(len(text.token_ids), n_layouts)
    found: dict[Way, Decoded] = {}
    with scratch_folder(store, f"partial-{number}", needed) as folder:
        for at, layout in enumerate(dict.fromkeys(way.layout for way in all_ways)):
            some = [way for way in all_ways if way.layout == layout]
            with stored(model, folder / str(at), layout, text) as cold:
                decoder = Decoder(cold, following, needs)
                for way in track(some, f"text {number}, {layout.name}", len(some)):
                    exact = found[all_ways[0]].answers if found else None
                    found[way] = decoder.decode(way, exact)
    return found


def _joined(
    way: Way, parts: Sequence[dict[Way, Decoded]], all_ways: Sequence[Way], exact_bytes: float
) -> Outcome:
    same = [one for one in all_ways if one.layout == way.layout and one.rule == EVERYTHING]
    everything = same[0] if same else all_ways[0]
    of_all = [part[everything] for part in parts]
    these = [part[way] for part in parts]
    return Outcome(
        joined([one.distance for one in these]),
        float(np.mean([one.read_bytes for one in these])),
        float(np.mean([one.read_bytes for one in of_all])),
        exact_bytes,
        np.concatenate([one.token_s for one in these]),
        these[0].summary_bytes,
        these[0].hot_bytes,
    )
