"""Project how much memory keys and values take, and measure what the hot tier really takes.

Follows: bytes = tokens * 2 (K, V) * layers * kv_heads * (values of a head + its scales); the team's
first report (2026-01-19) for the test configuration and for the projection it is set against.
Leaves out: quality, without which a smaller format is no gain; block headers and padding on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.kv.hot_slab import affordable_bytes, measure_slab
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import SEED, KVGeometry
from workbench.tiering.mmap_gguf import GGUFHeader, kv_geometry

_GIB, _MIB = 1 << 30, 1 << 20

# Meta's published configuration: 64 query heads share 8 KV heads of 128 values.
LLAMA_70B = KVGeometry(layers=80, kv_heads=8, head_dim=128, dtype="float16")
_LLAMA_NAME = "llama-3.3-70b"
_SEED_NAME = "seed"

_SCALE_GROUP = 128  # values of one head that share a scale


@dataclass(frozen=True, slots=True)
class KVFormat:
    """How one value is stored; ``scale_bytes`` go to each head and 128 values of it."""

    name: str
    value_bits: int
    scale_bytes: int

    def token_bytes(self, geometry: KVGeometry) -> int:
        """Return the bytes of one token's K and V over all layers, scales included."""
        groups = -(-geometry.head_dim // _SCALE_GROUP)
        head_bytes = -(-geometry.head_dim * self.value_bits // 8) + groups * self.scale_bytes
        return 2 * geometry.layers * geometry.kv_heads * head_bytes


FORMATS = (
    KVFormat("fp32", 32, 0),
    KVFormat("fp16", 16, 0),
    KVFormat("int8", 8, 4),
    KVFormat("int4", 4, 4),
)

_LONG = "10,000 hot + 100,000 cold"
_CONTEXTS = {"1,000": 1_000, "10,000": 10_000, "100,000": 100_000, _LONG: 110_000}
# The report's limits for its test configuration: 512 MB cold (512 tokens in fp32), 10,000 tokens.
_SEED_COLD_TOKENS = 512
_SEED_LONGEST_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Footprint:
    """What `measure` found.

    Attributes
    ----------
    metrics : DataFrame    long rows, workbench.benchmark.metrics.SCHEMA
    table : DataFrame      one row a model and context: projected GiB in every format
    contrast : DataFrame   the first report's 70B projection against the correct one
    slab : DataFrame       measured: allocation, first touch and rewrite of the hot tier
    weights : DataFrame    the real model's weights by tensor type; no rows without a model
    notes : tuple of str   what a reader must know beside the figures
    """

    metrics: pl.DataFrame
    table: pl.DataFrame
    contrast: pl.DataFrame
    slab: pl.DataFrame
    weights: pl.DataFrame
    notes: tuple[str, ...]


def measure(
    header: GGUFHeader | None,
    *,
    model: str = "smollm2-135m",
    hot_tokens: int = 1024,
    rounds: int = 3,
) -> Footprint:
    """Project every model's footprint and measure the test configuration's hot tier.

    Parameters
    ----------
    header : GGUFHeader or None   the real model's; None leaves its rows out
    model : str                   its name in the rows
    hot_tokens : int              tokens of the hot tier, at the seed geometry in fp32 (1 MiB each)
    rounds : int                  how often the slab is allocated anew

    Raises
    ------
    UsageError   if ``hot_tokens`` or ``rounds`` is not positive, or no token fits into memory
    GGUFError    if the header describes no KV geometry

    Cost    ``rounds`` times the hot tier (at most 2 GiB) touched and rewritten: about 1 s per GiB.
    """
    if hot_tokens < 1:
        raise UsageError(f"hot_tokens={hot_tokens} must be at least 1")
    geometries = {_SEED_NAME: SEED, _LLAMA_NAME: LLAMA_70B}
    weights: Mapping[str, int] = {}
    if header is not None:
        geometries = {_SEED_NAME: SEED, model: kv_geometry(header), _LLAMA_NAME: LLAMA_70B}
        weights = header.weight_bytes()
    slab_tokens = min(hot_tokens, affordable_bytes() // SEED.bytes_per_token)
    cost = measure_slab(slab_tokens * SEED.bytes_per_token, rounds)
    points = [
        (name, geometry, context, tokens)
        for name, geometry in geometries.items()
        for context, tokens in _contexts(name, hot_tokens).items()
    ]
    frames = [
        *(frame for name, shape, _, n in points for frame in _projection_rows(name, shape, n)),
        cost.rows(f"model={_SEED_NAME} tokens={slab_tokens}", "fp32"),
        *(
            metrics.rows("model_weights", "bytes", [n_bytes], case=f"model={model}", variant=kind)
            for kind, n_bytes in weights.items()
        ),
    ]
    return Footprint(
        metrics=pl.concat(frames),
        table=pl.DataFrame([_projection_line(*point) for point in points]),
        contrast=seed_contrast(),
        slab=cost.table(),
        weights=pl.DataFrame(
            [{"type": kind, "MiB": n_bytes / _MIB} for kind, n_bytes in weights.items()],
            schema={"type": pl.String(), "MiB": pl.Float64()},
        ),
        notes=_notes(header, hot_tokens, slab_tokens),
    )


def seed_contrast() -> pl.DataFrame:
    """Return the first report's projection of Llama 3.3 70B beside the one its header gives.

    Columns
    -------
    part, tokens                hot and cold tier, and both
    reported MiB                what the report printed ("80 layers, 8,192 heads", 1 MB a token)
    correct MiB                 80 layers, 8 KV heads of 128 values, fp16: 320 KiB a token
    reported over correct       how many times too large
    8,192 heads, literally MiB  what the report's own words would come to; 8,192 is in truth the
                                width of the model, 64 query heads of 128 values
    """
    literal = KVGeometry(layers=80, kv_heads=8192, head_dim=128, dtype="float16")
    reported = {"hot": (10_000, 10_240.0), "cold": (100_000, 102_400.0)}
    reported["total"] = (
        sum(tokens for tokens, _ in reported.values()),
        sum(mib for _, mib in reported.values()),
    )
    lines = []
    for part, (tokens, mib) in reported.items():
        correct_mib = tokens * LLAMA_70B.bytes_per_token / _MIB
        lines.append(
            {
                "part": part,
                "tokens": tokens,
                "reported MiB": mib,
                "correct MiB": correct_mib,
                "reported over correct": mib / correct_mib,
                "8,192 heads, literally MiB": tokens * literal.bytes_per_token / _MIB,
            }
        )
    return pl.DataFrame(lines)


def _contexts(name: str, hot_tokens: int) -> dict[str, int]:
    if name != _SEED_NAME:
        return _CONTEXTS
    return {
        f"{hot_tokens:,} hot": hot_tokens,
        f"{hot_tokens:,} hot + {_SEED_COLD_TOKENS} cold": hot_tokens + _SEED_COLD_TOKENS,
        f"{_SEED_LONGEST_TOKENS:,}": _SEED_LONGEST_TOKENS,
    }


def _projection_rows(name: str, geometry: KVGeometry, tokens: int) -> list[pl.DataFrame]:
    return [
        metrics.rows(
            "kv_footprint",
            "bytes",
            [tokens * form.token_bytes(geometry)],
            tier="memory",
            case=f"model={name} tokens={tokens}",
            variant=form.name,
        )
        for form in FORMATS
    ]


def _projection_line(
    name: str, geometry: KVGeometry, context: str, tokens: int
) -> dict[str, object]:
    sizes = {form.name: form.token_bytes(geometry) for form in FORMATS}
    return {
        "model": name,
        "tokens": context,
        "KiB a token, fp16": sizes["fp16"] / 1024,
        **{f"{form} GiB": tokens * n_bytes / _GIB for form, n_bytes in sizes.items()},
        "int8 smaller than fp16": sizes["fp16"] / sizes["int8"],
        "int4 smaller than fp16": sizes["fp16"] / sizes["int4"],
        "figure": "projection",
    }


def _notes(header: GGUFHeader | None, hot_tokens: int, slab_tokens: int) -> tuple[str, ...]:
    notes = [
        "footprints are projections: tokens * 2 * layers * KV heads * (values + scales); int8 and "
        "int4 carry one fp32 scale for each head and 128 values",
        "a smaller format is a gain only if quality holds, which is not measured here",
        "the slab is measured: memory is backed when first written, so the first store into a cold "
        "slab is slow and must not be mistaken for the store rate",
    ]
    if header is None:
        notes.append("no model file was given, so the real model's rows are missing")
    if slab_tokens < hot_tokens:
        notes.append(
            f"the slab was measured at {slab_tokens:,} of {hot_tokens:,} hot tokens, half of the "
            "free memory or 2 GiB at most"
        )
    return tuple(notes)
