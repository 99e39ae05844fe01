"""The library's door: one object that opens all tiers, serves a model and keeps its sessions.

Follows: one configuration, one budget; a tier that fails below is misses, never an error.
Leaves out: the model itself, which only has to be what served_model.py says.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

from workbench.errors import UsageError
from workbench.tiering import eviction, write_policy
from workbench.tiering.async_io.engine import Engine
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache
from workbench.tiering.unified_tier.balance import Balance, granted_to_weights
from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.events import Event, Events, Kind
from workbench.tiering.unified_tier.load_or_recompute import Always, LoadOrRecompute, Way
from workbench.tiering.unified_tier.lower_tiers import open_lower
from workbench.tiering.unified_tier.metrics_page import MetricsServer
from workbench.tiering.unified_tier.overview import Parts
from workbench.tiering.unified_tier.ram_plan import RamPlan, bytes_of_tokens
from workbench.tiering.unified_tier.served_model import AdjustableWeights, ServedModel
from workbench.tiering.unified_tier.session import Hooks, Session
from workbench.tiering.unified_tier.session_book import SessionBook
from workbench.tiering.unified_tier.sizes import shown_size
from workbench.tiering.unified_tier.split import Split
from workbench.tiering.unified_tier.status import Status
from workbench.tiering.unified_tier.watch import Watch

# KV's least, whatever its share: a batch of tokens is computed at once.
LEAST_BLOCKS = 8
# Memory moves between weights and KV in such parts of what they share.
SPLIT_STEPS = 16


class UnifiedTier(Closing):
    """All tiers of one process, for one model. Sessions of one model are for one thread at a time.

    Attributes
    ----------
    config : UnifiedTierConfig
    """

    def __init__(self, config: UnifiedTierConfig, *, engine: Engine | None = None) -> None:
        """Open the tiers below memory; memory for keys and values is taken by `serve`.

        Parameters
        ----------
        engine : Engine or None   reads and writes the folder, and stays open; None: the best

        Raises
        ------
        UsageError         if the key is no good, or the budget too small
        StorageError       if the folder cannot be opened, such as while another process has it
        NetworkTierError   if the server refuses us; one that is not there is only misses
        """
        self.config = config
        self._plan = RamPlan.of(config)
        self._sessions: set[Session] = set()
        self._names: set[str] = set()
        self._model: ServedModel | None = None
        self._cache: TieredKVCache | None = None
        self._book: SessionBook | None = None
        self._chooser: LoadOrRecompute | None = None
        self._balance: Balance | None = None
        self._closed = False
        with contextlib.ExitStack() as undo:
            self._events = undo.enter_context(Events(config.event_log))
            self._lower = open_lower(config, self._plan, undo, engine)
            below = self._lower
            self._watch = undo.enter_context(Watch(below.ssd, below.network, self._events))
            self._open = undo.pop_all()
        self._events.add(Kind.OPENED)

    # Serving

    def serve(self, model: ServedModel) -> None:
        """Take memory for a model's keys and values; what earlier runs kept of them is found.

        Parameters
        ----------
        model : ServedModel   stays the caller's to close, after this

        Raises
        ------
        UsageError   if a model is served already, or the budget is too small for this one
        """
        self._require_open()
        if self._model is not None:
            raise UsageError("a model is served already; open another UnifiedTier for another one")
        layout = BlockLayout(model.kv_geometry(self.config.dtype))
        ssd, network, tenant = self._lower
        split = self._begin_split(model, layout)
        self._cache = self._open.enter_context(
            TieredKVCache(
                self._cache_config(layout, split),
                ssd,
                network=network,
                fingerprint=model.fingerprint,
                tenant=tenant,
            )
        )
        model.use_cache(self._cache.layout)
        if ssd is not None:
            self._book = SessionBook(ssd, model.fingerprint, tenant)
        per_token = layout.geometry.bytes_per_token
        if self.config.resume == "adaptive":
            self._chooser = LoadOrRecompute(per_token)
        else:
            self._chooser = Always(per_token, Way.LOAD)
        if split is not None and self._plan.shared_bytes is not None:
            assert isinstance(model, AdjustableWeights)
            self._balance = Balance(model, self._cache, split, self._plan.shared_bytes)
        self._model = model
        self._events.add(Kind.SERVING)

    def _begin_split(self, model: ServedModel, layout: BlockLayout) -> Split | None:
        """Divide memory for a start; None: weights have no budget, so KV has all that is shared.

        Raises
        ------
        UsageError   if the weights do not run with what is left
        """
        shared = self._plan.shared_bytes
        if shared is None or not isinstance(model, AdjustableWeights):
            return None
        size = layout.block_bytes
        least = max(int(shared * self.config.kv_min_frac), LEAST_BLOCKS * size)
        most = max(int(shared * self.config.kv_max_frac), least)
        if most > shared:
            raise UsageError(
                f"{shared:,} bytes of ram_bytes are left for weights and KV, which alone needs "
                f"{least:,} ({LEAST_BLOCKS} blocks); raise it"
            )
        split = Split(least, most, shared - model.weights_bytes, max(size, shared // SPLIT_STEPS))
        weights = min(shared - split.kv_bytes, model.weights_bytes)
        if granted_to_weights(model) != weights:
            model.set_weights_budget(weights)
        return split

    def _cache_config(self, layout: BlockLayout, split: Split | None) -> CacheConfig:
        shared = self._plan.shared_bytes
        config = self.config
        hot = bytes_of_tokens(layout, config.hot_tokens) if shared is None else shared
        return CacheConfig(
            layout.geometry,
            hot if split is None else split.kv_bytes,
            max_hot_bytes=None if split is None else split.most_bytes,
            policy=partial(eviction.create, config.eviction),
            write=partial(write_policy.create, config.write),
            codec=config.codec,
            staging_bytes=self._plan.staging_bytes or 1,
        )

    @property
    def cache(self) -> TieredKVCache:
        """Return the cache of the served model.

        Raises
        ------
        UsageError   if none is served
        """
        self._require_open()
        if self._cache is None:
            raise UsageError("no model is served yet; call serve(model) first")
        return self._cache

    # Sessions

    def session(self, name: str | None = None) -> Session:
        """Return a text to be fed with tokens; close it when it is not needed any more.

        A named one goes on where the last one of that name ended, even after a restart: it is
        persisted when it is closed. If the tiers have forgotten it, it is empty.

        Raises
        ------
        UsageError   if no model is served, the name is open already, or there is no folder for it
        """
        cache = self.cache
        assert self._model is not None
        token_ids = [] if name is None else self._recalled(name)
        self._events.add(Kind.SESSION_RESUMED if token_ids else Kind.SESSION_BEGAN)
        session = Session(
            self._model,
            cache,
            self.config.deadline_s,
            self._chooser,
            self._hooks(name),
            token_ids,
        )
        self._sessions.add(session)
        if name is not None:
            self._names.add(name)
        return session

    def _hooks(self, name: str | None) -> Hooks:
        hooks = Hooks(closed=partial(self._ended, name))
        if self._balance is not None:
            balance = self._balance
            hooks = replace(hooks, waited=balance.waited, feeding=balance.feeding, fed=self._fed)
        return hooks if name is None else replace(hooks, keep=partial(self._keep, name), keeps=True)

    def forget(self, name: str) -> bool:
        """Forget a named session; return whether there was one. Blocks go when they are evicted."""
        return self._book_of(name).forget(name)

    def _recalled(self, name: str) -> list[int]:
        if name in self._names:
            raise UsageError(
                f"the session {name!r} is open already; close it, or take another name"
            )
        book = self._book_of(name)
        n_forgotten = book.n_forgotten
        token_ids = book.read(name)
        if book.n_forgotten > n_forgotten:
            self._events.add(Kind.SESSION_FORGOTTEN, "ssd", "its record could not be read")
        return token_ids or []

    def _book_of(self, name: str) -> SessionBook:
        self._require_open()
        if self._book is None:
            raise UsageError(
                f"the session {name!r} cannot be kept: there is no folder, or no model is served; "
                "give ssd_folder and call serve(model), or leave the name away"
            )
        return self._book

    def _keep(self, name: str, token_ids: list[int]) -> bool:
        return self._book_of(name).write(name, token_ids)

    def _fed(self, n_tokens: int) -> None:
        if self._balance is not None and self._balance.fed(n_tokens):
            reason = f"KV is to have {shown_size(self._balance.target_bytes)}"
            self._events.add(Kind.SPLIT_MOVED, "ram", reason)

    def _ended(self, name: str | None, session: Session) -> None:
        self._sessions.discard(session)
        self._events.add(Kind.SESSION_ENDED)
        if name is not None:
            self._names.discard(name)

    # Telling

    def status(self) -> Status:
        """Return how every tier is: healthy or not and why, how full, how often it had a block.

        A failure below is in it within a second, at once if the tier was used meanwhile.
        """
        self._require_open()
        forgotten = 0 if self._book is None else self._book.n_forgotten
        return self._parts.status(self._watch.look(), len(self._sessions), forgotten)

    @property
    def _parts(self) -> Parts:
        ssd, network, _ = self._lower
        return Parts(self.config, self._plan, ssd, network, self._cache, self._balance)

    @property
    def events(self) -> list[Event]:
        """Return what happened lately, the oldest first."""
        return self._events.last()

    def prometheus(self) -> str:
        """Return the status and all numbers of all tiers as Prometheus text."""
        texts = [self.status().prometheus()]
        if self._cache is not None:
            texts.append(self._cache.prometheus())
        if self._lower.ssd is not None:
            texts.append(self._lower.ssd.stats().prometheus())
        if self._lower.network is not None:
            texts.append(self._lower.network.prometheus())
        return "".join(texts)

    def serve_metrics(self, host: str = "127.0.0.1", port: int = 0) -> MetricsServer:
        """Serve /metrics (Prometheus) and /health (JSON) over HTTP until the tiers are closed.

        Parameters
        ----------
        port : int   0: any that is free; the returned object knows which

        Raises
        ------
        UsageError   if nothing can listen there
        """
        self._require_open()
        server = MetricsServer(self.prometheus, self.status, host, port)
        return self._open.enter_context(server)

    def close(self) -> None:
        """End open sessions, write what waits, let go of everything; twice is harmless."""
        if self._closed:
            return
        for session in list(self._sessions):
            session.close()
        self._closed = True
        self._open.callback(self._events.add, Kind.CLOSED)
        self._open.close()

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the tiers are closed; open another UnifiedTier")
