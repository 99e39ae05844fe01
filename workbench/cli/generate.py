"""`workbench generate`: continue a text with a local model, its keys and values in the tiers.

Leaves out: how it is done (workbench/inference).
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import JsonFlag, print_json, print_table

if TYPE_CHECKING:
    from workbench.inference.text_generation import TextResult
    from workbench.inference.weights import WeightsStats

ModelOption = Annotated[str, typer.Option(help="A name of the data manifest, or a .gguf file.")]
PromptOption = Annotated[str, typer.Option(help="The text to continue; - reads standard input.")]
TokensOption = Annotated[int, typer.Option("-n", "--tokens", help="The most tokens to generate.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Threads; default: all processors.")]
CacheOption = Annotated[
    Path | None, typer.Option(help="Folder that keeps keys and values for later runs.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key-file", help="Key that seals the folder; default: WORKBENCH_KEY_FILE."),
]
TenantOption = Annotated[
    str | None, typer.Option(help="Whose keys and values; others' are not found.")
]
CodecOption = Annotated[
    str | None,
    typer.Option(help="Makes blocks in the folder smaller: int8, int4, ..., int8,int4:12-29."),
]
NetworkOption = Annotated[
    str | None, typer.Option(help="Valkey server that shares the blocks: valkey://host:port.")
]
WeightsOption = Annotated[
    int | None,
    typer.Option(help="MiB that weights may take; the rest is read for every token. Default: all."),
]
DtypeOption = Annotated[
    str | None, typer.Option("--kv", help="float32, float16 or int8; default: float16.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of the tiers; options come before it."),
]
MetricsOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", min=0, max=65535, help="Serve /metrics and /health on 127.0.0.1; 0: any."
    ),
]
ChatFlag = Annotated[bool, typer.Option("--chat", help="Put the prompt in the chat template.")]
TemperatureOption = Annotated[float, typer.Option(help="0: the best token always.")]
TopKOption = Annotated[int, typer.Option(help="Draw among the k best; 0: all.")]
TopPOption = Annotated[float, typer.Option(help="Draw among the best with this share of the odds.")]
SeedOption = Annotated[int, typer.Option(help="Of the draws.")]


def command(
    model: ModelOption = "smollm2-135m",
    prompt: PromptOption = "-",
    tokens: TokensOption = 128,
    threads: ThreadsOption = None,
    cache: CacheOption = None,
    key_file: KeyOption = None,
    tenant: TenantOption = None,
    codec: CodecOption = None,
    network: NetworkOption = None,
    kv: DtypeOption = None,
    config: ConfigOption = None,
    metrics_port: MetricsOption = None,
    weights_budget_mib: WeightsOption = None,
    chat: ChatFlag = False,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    seed: SeedOption = 0,
    json: JsonFlag = False,
) -> None:
    """Continue a text token by token, then say how fast that was and where the cache stood."""
    # Imported here: Numba costs seconds that `workbench --help` must not.
    from workbench.benchmark.compile_notice import compile_notice
    from workbench.inference.sampler import Sampling
    from workbench.inference.text_generation import TextRequest, generate_text
    from workbench.tiering.unified_tier import UnifiedTierConfig

    text = sys.stdin.read() if prompt == "-" else prompt
    given = {
        "dtype": kv,
        "ssd_folder": cache,
        "key": key_file,
        "tenant": tenant,
        "codec": codec,
        "network_url": network,
    }
    tiers = UnifiedTierConfig.gather(
        config, **{name: value for name, value in given.items() if value is not None}
    )
    request = TextRequest(
        model=model,
        prompt=text,
        n_tokens=tokens,
        threads=threads,
        chat=chat,
        sampling=Sampling(temperature, top_k, top_p, seed),
        tiers=tiers,
        metrics_port=metrics_port,
        on_metrics=lambda url: typer.echo(f"{url}/metrics", err=True),
        weights_budget_bytes=None if weights_budget_mib is None else weights_budget_mib << 20,
    )
    with compile_notice():
        result = generate_text(request, (lambda piece: None) if json else _show)
    if json:
        print_json(_record(result))
    else:
        typer.echo()
        print_table([{"figure": name, "value": value} for name, value in _figures(result)])


def _show(piece: str) -> None:
    typer.echo(piece, nl=False)
    sys.stdout.flush()


def _record(result: TextResult) -> dict[str, Any]:
    return asdict(result.figures) | {
        "text": result.text,
        "token_ids": result.token_ids,
        "cache": asdict(result.cache),
        "weights": asdict(result.weights),
    }


def _figures(result: TextResult) -> list[tuple[str, str]]:
    figures, cache = result.figures, result.cache
    return [
        ("prompt tokens", f"{figures.prompt_tokens}, {figures.resumed_tokens} of them cached"),
        ("prefill", f"{figures.prefill_tokens_s:.1f} tokens/s"),
        ("decode", f"{figures.decode_tokens_s:.1f} tokens/s, {len(result.token_ids)} tokens"),
        ("first token", f"{figures.ttft_ms:.1f} ms after the model was there"),
        ("loading", f"{figures.load_s:.2f} s"),
        ("threads", str(figures.threads)),
        *_weights(result.weights),
        ("blocks in memory", f"{cache.hot_blocks} full, {cache.open_blocks} open"),
        ("blocks on the SSD tier", f"{cache.cold_blocks}"),
        (
            "cache lookups",
            f"{cache.hot_hits} hot, {cache.cold_hits} cold, {cache.network_hits} from the network, "
            f"{cache.misses} missed",
        ),
        ("SSD tier", f"{cache.ssd_read_bytes:,} bytes read, {cache.ssd_written_bytes:,} written"),
        ("kept for a restart", {True: "yes", False: "no", None: "no --cache"}[result.persisted]),
    ]


def _weights(weights: WeightsStats) -> list[tuple[str, str]]:
    mib = 1 << 20
    held, total = weights.resident_bytes / mib, weights.total_bytes / mib
    if not weights.passing_layers:
        return [("weights", f"{total:,.0f} MiB in memory")]
    return [
        (
            "weights",
            f"{held:,.0f} of {total:,.0f} MiB in memory, {weights.passing_layers} of "
            f"{weights.layers} layers pass",
        ),
        (
            "weights streamed",
            f"{weights.read_bytes / mib:,.0f} MiB read, {weights.waited_s:.2f} s waited",
        ),
    ]
