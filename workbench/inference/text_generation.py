"""Continue a text from a model's name to the last word, with the figures of how it went.

Follows: open, look for a cached prefix, prefill, decode, persist.
Leaves out: printing (workbench/cli/generate.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from workbench.errors import UsageError
from workbench.inference.chat import chat_ids
from workbench.inference.generate import GenerationTimes, generate
from workbench.inference.llama import LlamaModel, available_threads
from workbench.inference.model_file import model_file
from workbench.inference.sampler import Sampling
from workbench.inference.tokenizer import Tokenizer, read_tokenizer
from workbench.inference.weights import WeightsStats
from workbench.tiering.mmap_gguf import GGUFHeader, read_header
from workbench.tiering.tiered_kv_cache import CacheStats
from workbench.tiering.unified_tier import Session, UnifiedTier, UnifiedTierConfig


@dataclass(frozen=True, slots=True)
class TextRequest:
    """What is to be continued, and how.

    Attributes
    ----------
    model : str              a name of the data manifest, or a path that ends in ``.gguf``
    prompt : str
    n_tokens : int           the most to be generated
    threads : int or None    None: as many as this process may use
    chat : bool              put the prompt in the model's chat template, as the user's turn
    sampling : Sampling
    tiers : UnifiedTierConfig
    metrics_port : int or None   serve the tiers' numbers there meanwhile; 0: on any port
    on_metrics : callable        told their address
    weights_budget_bytes : int or None   the most memory that weights take; None: all stay, or what
                                         the tiers' ram_bytes has room for
    """

    model: str
    prompt: str
    n_tokens: int
    threads: int | None = None
    chat: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    tiers: UnifiedTierConfig = field(default_factory=UnifiedTierConfig)
    metrics_port: int | None = None
    on_metrics: Callable[[str], None] = lambda url: None
    weights_budget_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """How it went.

    Attributes
    ----------
    load_s : float            to open the model and pack its weights, and to open the tiers
    ttft_ms : float           from then to the first token, tokens of the prompt made before
    prefill_tokens_s : float  prompt tokens computed a second
    decode_tokens_s : float   tokens a second behind the first; 0 if there was only one
    """

    threads: int
    load_s: float
    prompt_tokens: int
    resumed_tokens: int
    ttft_ms: float
    prefill_tokens_s: float
    decode_tokens_s: float


@dataclass(frozen=True, slots=True)
class TextResult:
    """A text and its figures.

    Attributes
    ----------
    text : str                  the continuation, as far as it was generated
    token_ids : list of int
    weights : WeightsStats      where they were, and what streaming them cost
    persisted : bool or None    whether it can be resumed after a restart; None: no SSD tier
    """

    text: str
    token_ids: list[int]
    figures: Figures
    cache: CacheStats
    weights: WeightsStats
    persisted: bool | None


def generate_text(request: TextRequest, show: Callable[[str], None]) -> TextResult:
    """Continue a text, showing it piece by piece.

    Parameters
    ----------
    request : TextRequest
    show : callable         called with whole characters as they come

    Raises
    ------
    UsageError     for arguments out of range, an unknown model, an empty prompt
    GGUFError      if the model's file is damaged
    StorageError   if the SSD tier cannot be opened
    """
    if request.n_tokens < 1:
        raise UsageError(f"tokens={request.n_tokens} must be at least 1")
    path = model_file(request.model)
    threads = available_threads() if request.threads is None else request.threads
    header = read_header(path)
    tokenizer = read_tokenizer(header)
    prompt_ids = _prompt_ids(request, header, tokenizer)
    begin = time.perf_counter()
    with (
        LlamaModel.open(
            path,
            threads=threads,
            weights_budget_bytes=_weights_budget(request),
        ) as model,
        UnifiedTier(request.tiers) as tiers,
        _served(tiers, model, request) as session,
    ):
        load_s = time.perf_counter() - begin
        times, token_ids, parts = GenerationTimes(), [], []
        stream = tokenizer.stream()
        for token_id in _tokens(request, session, tokenizer, prompt_ids, times):
            token_ids.append(token_id)
            parts.append(stream.feed(token_id))
            show(parts[-1])
        parts.append(stream.finish())
        show(parts[-1])
        persisted = session.persist() if request.tiers.ssd_folder is not None else None
        return TextResult(
            "".join(parts),
            token_ids,
            _figures(threads, load_s, times),
            tiers.cache.stats(),
            model.weights,
            persisted,
        )


def _served(tiers: UnifiedTier, model: LlamaModel, request: TextRequest) -> Session:
    tiers.serve(model)
    if request.metrics_port is not None:
        request.on_metrics(tiers.serve_metrics(port=request.metrics_port).url)
    return tiers.session()


def _prompt_ids(request: TextRequest, header: GGUFHeader, tokenizer: Tokenizer) -> list[int]:
    if request.chat:
        return chat_ids(header, tokenizer, [{"role": "user", "content": request.prompt}])
    ids = tokenizer.encode(request.prompt)
    if not ids:
        raise UsageError("the prompt is empty; give some text to continue")
    return ids


def _tokens(
    request: TextRequest,
    session: Session,
    tokenizer: Tokenizer,
    prompt_ids: list[int],
    times: GenerationTimes,
) -> Iterator[int]:
    return generate(
        session,
        prompt_ids,
        request.n_tokens,
        sampling=request.sampling,
        end_ids=tokenizer.end_ids,
        times=times,
    )


def _figures(threads: int, load_s: float, times: GenerationTimes) -> Figures:
    return Figures(
        threads=threads,
        load_s=load_s,
        prompt_tokens=times.prompt_tokens,
        resumed_tokens=times.resumed_tokens,
        ttft_ms=times.ttft_s * 1e3,
        prefill_tokens_s=times.prefill_tokens_s,
        decode_tokens_s=times.decode_tokens_s,
    )


def _weights_budget(request: TextRequest) -> int | None:
    """Return what weights may take while they are loaded, before they share it with KV."""
    budget = request.weights_budget_bytes
    return request.tiers.ram_bytes if budget is None else budget
