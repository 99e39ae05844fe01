"""Say what the timed layers mean for Llama 3.3 70B: time a token, assumptions, machines.

Follows: every token reads all weights once, so a machine's memory bandwidth bounds it; what this
machine reaches of its own bandwidth is taken to be what another one would.
Leaves out: measuring (large_model.py), batches of several sequences, and several machines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.benchmark.inference.large_layers import (
    EMBEDDING_WIDTH,
    LAYERS,
    VOCABULARY,
    LayersShape,
)
from workbench.benchmark.inference.large_model import READ, RESIDENT, LargeModel

LIMITS_MS = (100.0, 50.0)

# The output matrix as Q4_K_M files have it, Q6_K.
OUTPUT_BYTES = VOCABULARY * EMBEDDING_WIDTH // 256 * 210
LAYER_BYTES = LayersShape(1, 1).layer_bytes
WEIGHT_BYTES = LAYERS * LAYER_BYTES + OUTPUT_BYTES
KV_TOKEN_BYTES = LAYERS * 2 * 8 * 128 * 2

_USABLE_FRAC = 0.8  # of memory, as workbench.tiering.memory takes it
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Memory:
    """A kind of machine: what its memory gives, GB/s, how much there is, and who says so."""

    name: str
    gb_s: float
    gb: float
    source: str


def _channels(name: str, n_channels: int, mega_transfers: int, gb: float) -> Memory:
    source = f"{n_channels} channels x 8 bytes x {mega_transfers:,} MT/s"
    return Memory(name, n_channels * 8 * mega_transfers / 1e3, gb, source)


MACHINES = (
    _channels("desktop, DDR5-5600", 2, 5600, 96),
    _channels("workstation, DDR5-5600", 8, 5600, 512),
    _channels("server socket, DDR5-6400", 12, 6400, 1152),
    Memory("Apple M4 Max", 546, 128, "vendor"),
    Memory("Apple M3 Ultra", 819, 512, "vendor"),
    Memory("one accelerator, HBM3, 80 GB", 3350, 80, "vendor, H100 SXM"),
)


def reached_frac(found: LargeModel) -> float:
    """Return which part of the memory's bandwidth the products reach here, 0..1.

    On a busy machine the two can differ by chance; no product reads faster than memory gives.
    """
    return min(1.0, found.samples.ratio(RESIDENT, READ).median)


def output_s(found: LargeModel) -> float:
    """Return the seconds of the output matrix, at the rate of the layers."""
    return OUTPUT_BYTES / (found.weights_gb_s * _GB)


def token_ms(found: LargeModel, n_streamed: int) -> float:
    """Return the milliseconds of one token when so many of 80 layers come from the SSD.

    Reads go on while the layers that stay are computed: the slower side decides.
    """
    products_s = LAYERS * found.layer_s + output_s(found)
    return 1e3 * max(products_s, n_streamed * found.streamed_layer_s)


def projection(found: LargeModel, ram_bytes: int) -> pl.DataFrame:
    """Return one row a way to hold the weights: what it needs, and the time of a token.

    Parameters
    ----------
    found : LargeModel
    ram_bytes : int      of this machine; 80 % of it may hold weights, keys and values
    """
    kv_bytes = found.plan.context_tokens * KV_TOKEN_BYTES
    usable = int(ram_bytes * _USABLE_FRAC) - kv_bytes - OUTPUT_BYTES
    n_staying = min(LAYERS, max(0, usable // LAYER_BYTES - 2))
    cases = {"all in memory": 0, "all layers from the SSD": LAYERS}
    if 0 < n_staying < LAYERS:
        cases[f"as fits here: {n_staying} layers stay"] = LAYERS - n_staying
    lines = []
    for name, n_streamed in sorted(cases.items(), key=lambda case: case[1]):
        held = (LAYERS - n_streamed + min(2, n_streamed)) * LAYER_BYTES + OUTPUT_BYTES + kv_bytes
        milliseconds = token_ms(found, n_streamed)
        lines.append(
            {
                "weights": name,
                "ms a token": milliseconds,
                "tokens/s": 1e3 / milliseconds,
                "memory needed GB": held / _GB,
                "fits here": "yes" if held <= ram_bytes * _USABLE_FRAC else "no",
                "from the SSD GB a token": n_streamed * LAYER_BYTES / _GB,
                "times over 100 ms": milliseconds / LIMITS_MS[0],
                "figure": "projection",
            }
        )
    return pl.DataFrame(lines)


def assumptions(found: LargeModel) -> pl.DataFrame:
    """Return everything that the projection takes for granted, a row each."""
    plan = found.plan
    share = "whole layers" if plan.share == 1 else f"1/{plan.share} of each layer, times its share"
    rows = [
        ("layers", f"{LAYERS} alike; {plan.n_layers} timed", "published configuration"),
        ("what was timed", share, "measured"),
        (
            "widths",
            "8,192; 28,672; 64 heads, 8 KV heads x 128",
            "published configuration",
        ),
        ("weights", f"Q4_K, 4.5 bits: {LAYER_BYTES / _GB:.3f} GB a layer", "random, this format"),
        ("Q4_K_M files", "8 % larger: some matrices are Q6_K", "not counted"),
        ("output matrix", f"Q6_K, {OUTPUT_BYTES / _GB:.2f} GB, at the layers' rate", "computed"),
        ("bytes a token", f"{WEIGHT_BYTES / _GB:.1f} GB of weights, each read once", "computed"),
        (
            "context",
            f"{plan.context_tokens:,} tokens, float16: "
            f"{plan.context_tokens * KV_TOKEN_BYTES / _GB:.2f} GB",
            "measured with it",
        ),
        ("threads", str(found.threads), "all of this process"),
        (
            "products",
            f"{found.weights_gb_s:.1f} GB/s, {reached_frac(found):.2f} of reading memory "
            f"({found.read_gb_s:.1f})",
            "measured, same rounds",
        ),
        (
            "streaming",
            f"{found.ssd_gb_s:.2f} GB/s beside the products, "
            + ("past the page cache" if found.direct else "through the page cache"),
            "measured",
        ),
        ("layers on the SSD", "as the kernels want them, so that none is packed again", "assumed"),
        ("reads and products", "overlap: the slower side decides", "assumed; timed side by side"),
        ("other machines", "reach the same part of their bandwidth", "assumed"),
    ]
    return pl.DataFrame(rows, schema=["assumption", "value", "where from"], orient="row")


def machines(found: LargeModel) -> pl.DataFrame:
    """Return which machines would meet the limits, weights and context in memory.

    The first rows say what bandwidth each limit takes; then this machine, then others.
    """
    n_bytes = WEIGHT_BYTES + found.plan.context_tokens * KV_TOKEN_BYTES
    reached = reached_frac(found)
    lines = [
        {
            "machine": f"needed for {limit:.0f} ms",
            "memory GB/s": n_bytes / (limit / 1e3) / reached / _GB,
            "ms a token": limit,
            "meets": f"{limit:.0f} ms",
            "bandwidth from": f"{n_bytes / _GB:.1f} GB a token, {reached:.2f} of it reached",
        }
        for limit in LIMITS_MS
    ]
    here = Memory("this machine", found.read_gb_s, float("inf"), "measured")
    for machine in (here, *MACHINES):
        milliseconds = n_bytes / (machine.gb_s * reached * _GB) * 1e3
        lines.append(
            {
                "machine": machine.name,
                "memory GB/s": machine.gb_s,
                "ms a token": milliseconds,
                "meets": _meets(milliseconds, machine.gb * _GB >= n_bytes),
                "bandwidth from": machine.source,
            }
        )
    return pl.DataFrame(lines)


def _meets(milliseconds: float, fits: bool) -> str:
    if not fits:
        return "does not fit"
    met = [limit for limit in LIMITS_MS if milliseconds <= limit]
    return f"{min(met):.0f} ms" if met else "neither"


def ssd_needed_gb_s(found: LargeModel) -> float:
    """Return what an SSD would have to give for 100 ms when every layer comes from it."""
    return LAYERS * LAYER_BYTES / (LIMITS_MS[0] / 1e3) / _GB


def summary(found: LargeModel) -> str:
    """Return the projection in one sentence."""
    streamed = token_ms(found, LAYERS) / 1e3
    return (
        f"Llama 3.3 70B here: {token_ms(found, 0):,.0f} ms a token if it fitted into memory, "
        f"{streamed:,.1f} s from the SSD, of {WEIGHT_BYTES / _GB:.0f} GB a token; 100 ms would "
        f"take {np.ceil(machines(found)['memory GB/s'][0]):,.0f} GB/s of memory, or an SSD of "
        f"{ssd_needed_gb_s(found):,.0f} GB/s."
    )
