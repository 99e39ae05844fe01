"""The library's door: one object that opens all tiers, serves a model and keeps its sessions.

Follows: one configuration, one budget; a tier that fails below is misses, never an error.
Leaves out: the model itself, which only has to be what served_model.py says.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from functools import partial

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import Engine
from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache import TieredKVCache
from workbench.tiering.unified_tier.balance import Balance
from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.events import Event, Events, Kind
from workbench.tiering.unified_tier.lower_tiers import open_lower
from workbench.tiering.unified_tier.metrics_page import MetricsServer
from workbench.tiering.unified_tier.overview import Parts
from workbench.tiering.unified_tier.ram_plan import RamPlan
from workbench.tiering.unified_tier.served_model import ServedModel
from workbench.tiering.unified_tier.serving import Serving, begin_serving
from workbench.tiering.unified_tier.session import Hooks, Session
from workbench.tiering.unified_tier.session_book import SessionBook
from workbench.tiering.unified_tier.sizes import shown_size
from workbench.tiering.unified_tier.status import Status
from workbench.tiering.unified_tier.watch import Watch


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
        self._sessions: dict[Session, str | None] = {}
        self._lock = threading.Lock()
        self._serving: Serving | None = None
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
        if self._serving is not None:
            raise UsageError("a model is served already; open another UnifiedTier for another one")
        self._serving = begin_serving(model, self.config, self._plan, self._lower, self._open)
        self._events.add(Kind.SERVING)

    @property
    def cache(self) -> TieredKVCache:
        """Return the cache of the served model.

        Raises
        ------
        UsageError   if none is served
        """
        return self._served.cache

    @property
    def _served(self) -> Serving:
        self._require_open()
        if self._serving is None:
            raise UsageError("no model is served yet; call serve(model) first")
        return self._serving

    # Sessions

    def session(self, name: str | None = None) -> Session:
        """Return a text to be fed with tokens; close it when it is not needed any more.

        A named one goes on where the last one of that name ended, even after a restart: it is
        persisted when it is closed. If the tiers have forgotten it, it is empty.

        Raises
        ------
        UsageError   if no model is served, the name is open already, or there is no folder for it
        """
        served = self._served
        with self._lock:
            token_ids = [] if name is None else self._recalled(name)
            session = Session(
                served.model,
                served.cache,
                self.config.deadline_s,
                served.chooser,
                self._hooks(name, served.balance),
                token_ids,
            )
            self._sessions[session] = name
        self._events.add(Kind.SESSION_RESUMED if token_ids else Kind.SESSION_BEGAN)
        return session

    def _hooks(self, name: str | None, balance: Balance | None) -> Hooks:
        hooks = Hooks(closed=self._ended)
        if balance is not None:
            fed = partial(self._fed, balance)
            hooks = replace(hooks, waited=balance.waited, feeding=balance.feeding, fed=fed)
        if name is not None:
            hooks = replace(hooks, keep=partial(self._book_of(name).write, name), keeps=True)
        return hooks

    def forget(self, name: str) -> bool:
        """Forget a named session; return whether there was one. Blocks go when they are evicted."""
        return self._book_of(name).forget(name)

    def _recalled(self, name: str) -> list[int]:
        if name in self._sessions.values():
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
        book = self._served.book
        if book is None:
            raise UsageError(
                f"the session {name!r} cannot be kept without a folder; give ssd_folder, or leave "
                "the name away"
            )
        return book

    def _fed(self, balance: Balance, n_tokens: int) -> None:
        if balance.fed(n_tokens):
            reason = f"KV is to have {shown_size(balance.target_bytes)}"
            self._events.add(Kind.SPLIT_MOVED, "ram", reason)

    def _ended(self, session: Session) -> None:
        self._sessions.pop(session, None)
        self._events.add(Kind.SESSION_ENDED)

    # Telling

    def status(self) -> Status:
        """Return how every tier is: healthy or not and why, how full, how often it had a block.

        A failure below is in it within a second, at once if the tier was used meanwhile.
        """
        self._require_open()
        ssd, network, _ = self._lower
        parts = Parts(self.config, self._plan, ssd, network, self._serving)
        return parts.status(self._watch.look(), len(self._sessions))

    @property
    def events(self) -> list[Event]:
        """Return what happened lately, the oldest first."""
        return self._events.last()

    def prometheus(self) -> str:
        """Return the status and all numbers of all tiers as Prometheus text."""
        texts = [self.status().prometheus()]
        if self._serving is not None:
            texts.append(self._serving.cache.prometheus())
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
