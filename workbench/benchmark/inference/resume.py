"""Time going on from a text that lies on the SSD, against computing it again, and beside llama.cpp.

Follows: each round opens a cache that holds nothing in memory; the SSD tier's reads pass the page
cache, and a peer's state file is dropped from it. The clock runs from the question to the logits of
one new token behind the text. Recomputing one text of the greatest length shows all shorter ones.
Leaves out: loading the model, which both ways need (model_load.py), and many texts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from workbench.benchmark.inference.own_engine import FIRST_ID, random_ids
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import PeerSettings
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.inference.llama import LlamaModel, available_threads
from workbench.tiering.async_io.residency import drop_cache
from workbench.tiering.memory import MIB
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache

# Case names.
RESUMED, RECOMPUTED, RESTORED = "resume from the SSD", "compute again", "restore from the SSD"
PEER_RESTORED = "llama.cpp's state restore"
_SPARE_BLOCKS = 4
_SEGMENT_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What is resumed: texts' lengths in tokens, ascending; rounds; float16 or int8."""

    lengths: tuple[int, ...]
    rounds: int
    dtype: str = "float16"


class Store:
    """A model, and one text of the greatest length on the SSD; every prefix of it is there too."""

    def __init__(self, model: LlamaModel, ssd: SsdTier, plan: ResumePlan, ids: list[int]) -> None:
        """Compute the text, a length at a time, and have it on the device.

        Raises
        ------
        MediumError   if it could not be stored
        """
        self._plan = plan
        self.model, self.ssd, self.ids = model, ssd, ids
        # Seconds from the question to the first logits, by length.
        self.recomputed_s: dict[int, float] = {}
        with self._cache(ssd) as cache, cache.sequence() as sequence:
            seconds = 0.0
            for n_tokens in plan.lengths:
                start = perf_counter()
                model.forward(self.ids[sequence.n_tokens : n_tokens], sequence)
                seconds += perf_counter() - start
                self.recomputed_s[n_tokens] = seconds
                # A length within a block leaves a tail of its own.
                with sequence.fork(n_tokens) as text:
                    if not text.persist():
                        raise MediumError(
                            f"a text of {n_tokens} tokens could not be stored and flushed; "
                            "check the disk"
                        )

    def resume(self, n_tokens: int) -> float:
        """Return the seconds from the question to the first logits behind a text on the SSD."""
        with self.cold_cache() as cache:
            start = perf_counter()
            with cache.load(self.ids[:n_tokens]) as load:
                self._require(load.wait(), n_tokens)
                self.model.forward([FIRST_ID], load.sequence)
                return perf_counter() - start

    def restore(self, n_tokens: int) -> float:
        """Return the seconds until all keys and values are in memory again."""
        with self.cold_cache() as cache:
            start = perf_counter()
            with cache.load(self.ids[:n_tokens]) as load:
                self._require(load.wait(), n_tokens)
                return perf_counter() - start

    def recompute(self, n_tokens: int) -> float:
        """Return the seconds from the question to the first logits with nothing cached."""
        with self._cache(None) as cache, cache.sequence() as sequence:
            start = perf_counter()
            self.model.forward([*self.ids[:n_tokens], FIRST_ID], sequence)
            return perf_counter() - start

    def cold_cache(self) -> AbstractContextManager[TieredKVCache]:
        """Open a cache that has nothing in memory, and the text on the SSD."""
        return self._cache(self.ssd)

    def n_bytes(self, n_tokens: int) -> int:
        """Return the bytes of so many tokens' keys and values, in whole blocks' shares."""
        layout = BlockLayout(self.model.kv_geometry(self._plan.dtype))
        return n_tokens * layout.block_bytes // layout.block_tokens

    @contextmanager
    def _cache(self, ssd: SsdTier | None) -> Iterator[TieredKVCache]:
        geometry = self.model.kv_geometry(self._plan.dtype)
        config = CacheConfig(geometry, 1)
        n_blocks = -(-max(self._plan.lengths) // config.block_tokens) + _SPARE_BLOCKS
        config = CacheConfig(
            geometry,
            n_blocks * config.layout.block_bytes,
            high_watermark_frac=1.0,
            low_watermark_frac=1.0,
            staging_bytes=8 * MIB,
            write_queue_blocks=n_blocks,
        )
        with TieredKVCache(config, ssd, fingerprint=self.model.fingerprint) as cache:
            self.model.use_cache(cache.layout)
            yield cache

    def _require(self, n_found: int, n_tokens: int) -> None:
        if n_found != n_tokens:
            raise MediumError(
                f"{n_found} of {n_tokens} tokens came back from the SSD; see `workbench doctor` "
                "about the disk"
            )


@contextmanager
def stored(
    model_path: Path,
    folder: Path,
    plan: ResumePlan,
    seed: int = 0,
    tier: type[SsdTier] = SsdTier,
) -> Iterator[Store]:
    """Open the model and an SSD tier in a folder, compute the text and yield it.

    Raises
    ------
    MediumError    if the reads would come from the page cache
    StorageError, GGUFError, UsageError   as the parts raise them

    Cost    one prefill of the greatest length.
    """
    with LlamaModel.open(model_path) as model:
        capacity = _capacity(model, plan)
        config = SsdTierConfig(capacity, segment_bytes=_SEGMENT_BYTES, pool_bytes=32 * MIB)
        with tier.open(folder, config) as ssd:
            if not ssd.stats().engine.direct:
                raise MediumError(
                    "the store's reads go through the page cache; choose a store folder on a disk "
                    "whose file system has O_DIRECT"
                )
            yield Store(model, ssd, plan, random_ids(model_path, max(plan.lengths), seed))


def _capacity(model: LlamaModel, plan: ResumePlan) -> int:
    """Return room for every length apart, and as much again for headers and segments' ends."""
    n_bytes = sum(plan.lengths) * model.kv_geometry("float16").bytes_per_token
    return (2 * n_bytes // _SEGMENT_BYTES + 8) * _SEGMENT_BYTES


def scratch_bytes(plan: ResumePlan) -> int:
    """Return about the bytes that the measurements write, never less."""
    return sum(plan.lengths) * 64 * 1024 + 256 * MIB


def against_recompute(
    model_path: Path, store: Path, plan: ResumePlan, seed: int = 0
) -> dict[int, Samples]:
    """Resume and recompute every length in turns; work is in tokens.

    Cost    ``rounds + 2`` prefills of every length.
    """
    with (
        scratch_folder(store, "resume", scratch_bytes(plan)) as folder,
        stored(model_path, folder, plan, seed) as text,
    ):
        found = {}
        for n_tokens in plan.lengths:
            cases = [
                Case(RESUMED, _of(text.resume, n_tokens), float(n_tokens)),
                Case(RECOMPUTED, _of(text.recompute, n_tokens), float(n_tokens)),
            ]
            with meter(f"resume of {n_tokens}", plan.rounds) as on_round:
                found[n_tokens] = interleave(cases, plan.rounds, on_round)
        return found


def against_llamacpp(
    model_path: Path, store: Path, plan: ResumePlan, seed: int = 0
) -> dict[int, Samples]:
    """Restore every length, and let llama.cpp restore its own state file; work is in tokens.

    Without llama.cpp there are rounds of ours alone.

    Cost    one prefill of the greatest length for each engine, then tenths of a second a round.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(store, "restore", 2 * scratch_bytes(plan)))
        text = stack.enter_context(stored(model_path, folder, plan, seed))
        states = _peer_states(stack, model_path, folder, text.ids, plan)
        found = {}
        for n_tokens in plan.lengths:
            cases = [Case(RESTORED, _of(text.restore, n_tokens), float(n_tokens))]
            if states:
                cases.append(Case(PEER_RESTORED, states[n_tokens], float(n_tokens)))
            with meter(f"restore of {n_tokens}", plan.rounds) as on_round:
                found[n_tokens] = interleave(cases, plan.rounds, on_round)
        return found


def _peer_states(
    stack: ExitStack, model_path: Path, folder: Path, ids: list[int], plan: ResumePlan
) -> dict[int, Callable[[], float]]:
    """Return what restores llama.cpp's state of each length, cold; nothing without llama.cpp."""
    if not LlamaCppPeer.available():
        return {}
    settings = PeerSettings(model_path, len(ids) + 64, available_threads())
    peer = stack.enter_context(LlamaCppPeer(settings))
    return {
        n_tokens: PeerState(peer, path).restore
        for n_tokens, path, _ in saved_states(peer, folder, ids, plan.lengths)
    }


def saved_states(
    peer: LlamaCppPeer, folder: Path, ids: list[int], lengths: tuple[int, ...]
) -> list[tuple[int, Path, float]]:
    """Let a peer compute a text; return lengths, state files and seconds from nothing to there."""
    found, n_before, seconds = [], 0, 0.0
    peer.reset()
    for n_tokens in lengths:
        seconds += peer.prefill_seconds(ids[n_before:n_tokens])
        path = folder / f"state-{n_tokens}"
        peer.save_state_seconds(path)
        found.append((n_tokens, path, seconds))
        n_before = n_tokens
    return found


class PeerState:
    """A peer's state file, cold each time."""

    def __init__(self, peer: LlamaCppPeer, path: Path) -> None:
        self._peer, self._path = peer, path

    def restore(self) -> float:
        """Return the seconds of its restore."""
        chill(self._path)
        return self._peer.load_state_seconds(self._path)


def chill(path: Path) -> None:
    """Have no page of a file in memory."""
    with path.open("rb") as file:
        drop_cache(file.fileno())


def _of(run: Callable[[int], float], n_tokens: int) -> Callable[[], float]:
    return lambda: run(n_tokens)
