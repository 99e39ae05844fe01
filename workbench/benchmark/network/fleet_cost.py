"""Say what a shared server costs and spares a fleet: memory, network, machines, by codec and size.

Follows: fleet_replay.py's counts on a real trace; a token's bytes are a stated model's, made
smaller by what each codec reaches on the real model's own keys and values.
Leaves out: latency and queueing (network_hit.py has the time of one prefix).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.codecs.codec_rates import frames_of
from workbench.benchmark.network import fleet_replay
from workbench.benchmark.network.fleet_replay import Counts, FleetOutcome
from workbench.benchmark.progress import track
from workbench.benchmark.selection import real_text
from workbench.inference.llama import LlamaModel
from workbench.tiering import compression
from workbench.tiering.tiered_kv_cache import BlockLayout

METRIC, LOCAL_ALONE = "fleet_hit_rate", "machines alone"
# The codec that changes nothing is shown as what it then stores.
SHOWN = {"none": "float16"}
_KIB, _GIB = 1 << 10, 1 << 30
_BITS = 8e-9
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is assumed; none of it is measured here.

    Attributes
    ----------
    machines : int             requests are dealt out to them in turn
    local_gib : float          memory and SSD for KV of each, as float16
    shared_gib : float         memory of the server
    kv_kib_per_token : float   of the served model, as float16
    prefill_tokens_s : float   that one machine computes
    """

    machines: int
    local_gib: float
    shared_gib: float
    kv_kib_per_token: float
    prefill_tokens_s: float

    def block_bytes(self, trace: Trace, ratio: float = 1.0) -> float:
        """Return the bytes of a trace's block, made smaller by a codec."""
        return trace.block_tokens * self.kv_kib_per_token * _KIB / ratio

    def local_blocks(self, trace: Trace) -> int:
        """Return how many blocks a machine keeps, at least one."""
        return max(1, int(self.local_gib * _GIB / self.block_bytes(trace)))

    def shared_blocks(self, trace: Trace, ratio: float) -> int:
        """Return how many blocks the server keeps."""
        return int(self.shared_gib * _GIB / self.block_bytes(trace, ratio))

    def assumptions(self, trace: Trace) -> tuple[str, ...]:
        """Say in words what is assumed, and of which trace."""
        hours = trace.arrival_s[-1] / 3600
        return (
            f"assumed (parameters of this day): {self.machines} machines with "
            f"{self.local_gib:g} GiB for KV each, requests dealt out in turn, a server of "
            f"{self.shared_gib:g} GiB",
            f"assumed: a model of {self.kv_kib_per_token:g} KiB of float16 KV a token (128 is "
            f"Llama 3.1 8B's), {self.prefill_tokens_s:,.0f} tokens/s of prefill a machine; local "
            "tiers keep float16, a codec is only on the server",
            f"from the trace {trace.name}: {len(trace):,} requests over {hours:.2f} h, "
            f"{trace.input_tokens.mean():,.0f} tokens a prompt, blocks of {trace.block_tokens}; "
            "all tiers start empty, the least recently used goes first",
            "peaks are of the busiest minute; bytes count blocks only, not names and headers "
            "(under 0.1 %)",
        )


def codec_ratios(model_path: Path, names: Sequence[str], n_tokens: int) -> dict[str, float]:
    """Return plain over stored bytes of each codec, on real text's keys and values.

    Cost    one prefill of the tokens.
    """
    with LlamaModel.open(model_path) as model:
        text = real_text.compute(model, real_text.token_ids(model_path, n_tokens))
        layout = BlockLayout(model.kv_geometry("float16"))
    k, v = (side.astype(np.float16) for side in real_text.token_major(text))
    frames = frames_of(layout, k, v)
    return {name: _ratio(name, layout, frames) for name in names}


def _ratio(name: str, layout: BlockLayout, frames: NDArray[np.uint8]) -> float:
    codec = compression.create(name, layout)
    room = np.empty(codec.max_stored_bytes, np.uint8)
    stored = sum(
        codec.encode(frame, number % layout.n_frames, room) for number, frame in enumerate(frames)
    )
    return float(layout.block_bytes * len(frames) // layout.n_frames / stored)


@dataclass(frozen=True, slots=True)
class FleetCost:
    """What a replay comes to: a table, and rows fleet_hit_rate over the server's size."""

    trace: Trace
    fleet: Fleet
    ratios: Mapping[str, float]

    @property
    def table(self) -> pl.DataFrame:
        """Return a line for machines alone, and one a codec."""
        local = fleet_replay.local_hits(
            self.trace, self.fleet.machines, self.fleet.local_blocks(self.trace)
        )
        alone = fleet_replay.replay(self.trace, local, 0)
        lines = [self._line(LOCAL_ALONE, 1.0, alone)]
        for name, ratio in self.ratios.items():
            blocks = self.fleet.shared_blocks(self.trace, ratio)
            lines.append(self._line(name, ratio, fleet_replay.replay(self.trace, local, blocks)))
        return pl.DataFrame(lines, infer_schema_length=None)

    def _line(self, name: str, ratio: float, outcome: FleetOutcome) -> dict[str, object]:
        is_alone = name == LOCAL_ALONE
        stored = self.fleet.block_bytes(self.trace, ratio)
        tokens = self.trace.block_tokens
        mean_s, peak_s = self._per_second(outcome.computed)
        moved, moved_peak = self._per_second(outcome.shared + outcome.computed)
        prefill = self.fleet.prefill_tokens_s
        return {
            "server stores": "no server" if is_alone else SHOWN.get(name, name),
            "KiB a token": None if is_alone else self.fleet.kv_kib_per_token / ratio,
            "found locally": f"{outcome.rate(outcome.local):.1%}",
            "found on the server": f"{outcome.rate(outcome.shared):.1%}",
            "server memory used, GiB": outcome.held_blocks * stored / _GIB,
            "network, Gbit/s": 0.0 if is_alone else moved * stored * _BITS,
            "in the busiest minute, Gbit/s": 0.0 if is_alone else moved_peak * stored * _BITS,
            "prefill keeps busy, machines": mean_s * tokens / prefill,
            "in the busiest minute, machines": peak_s * tokens / prefill,
        }

    def _per_second(self, blocks: Counts) -> tuple[float, float]:
        """Return blocks a second over the whole trace, and in its busiest minute."""
        arrival = self.trace.arrival_s
        length_s = max(float(arrival[-1]), _WINDOW_S)
        by_minute = np.bincount((arrival // _WINDOW_S).astype(np.int64), weights=blocks)
        return float(blocks.sum()) / length_s, float(by_minute.max()) / _WINDOW_S

    def sweep(self, shared_gib: Sequence[float]) -> pl.DataFrame:
        """Return rows fleet_hit_rate by the server's size, a variant a codec.

        Cost    about 1 us a block reference, codec and size.
        """
        local = fleet_replay.local_hits(
            self.trace, self.fleet.machines, self.fleet.local_blocks(self.trace)
        )
        alone = fleet_replay.replay(self.trace, local, 0)
        rows = []
        sizes = [replace(self.fleet, shared_gib=gib) for gib in shared_gib]
        for fleet in track(sizes, "sizes of the server", len(sizes)):
            case = f"trace={self.trace.name} shared_gib={fleet.shared_gib:g}"
            rates = {LOCAL_ALONE: alone.rate(local)}
            for name, ratio in self.ratios.items():
                blocks = fleet.shared_blocks(self.trace, ratio)
                outcome = fleet_replay.replay(self.trace, local, blocks)
                rates[name] = outcome.rate(outcome.local + outcome.shared)
            rows += [
                metrics.rows(METRIC, "ratio", [rate], case=case, variant=SHOWN.get(name, name))
                for name, rate in rates.items()
            ]
        return pl.concat(rows)
