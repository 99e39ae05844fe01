"""Serve the tiers' numbers over HTTP: /metrics for Prometheus, /health for a load balancer.

Follows: Prometheus exposition format 0.0.4 over the standard library's server.
Leaves out: TLS and passwords: it listens on loopback unless it is told otherwise, and what it says
holds no secret and no text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.unified_tier.status import Health, Status

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"
# Whoever connects and says nothing keeps a thread no longer than this.
_IDLE_S = 5.0


class Answer(NamedTuple):
    """What one request is answered."""

    code: HTTPStatus
    kind: str
    body: bytes


class MetricsServer(Closing):
    """Two pages on one port, as long as this object is not closed."""

    def __init__(
        self, metrics: Callable[[], str], status: Callable[[], Status], host: str, port: int
    ) -> None:
        """Begin to answer.

        Parameters
        ----------
        metrics, status : callable   asked for each request
        host : str
        port : int                   0: any that is free

        Raises
        ------
        UsageError   if nothing can listen there
        """
        self._metrics, self._status = metrics, status
        try:
            self._server = ThreadingHTTPServer((host, port), self._handler())
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"metrics cannot be served on {host}:{port}: {error}; give another port, or 0"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="tier-metrics", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return where /metrics and /health are."""
        host = self._server.server_address[0]
        return f"http://{host if isinstance(host, str) else host.decode()}:{self.port}"

    def answer(self, path: str) -> Answer:
        """Return what is answered for a path."""
        page = path.partition("?")[0]
        try:
            if page == "/metrics":
                return Answer(HTTPStatus.OK, _TEXT, self._metrics().encode())
            if page == "/health":
                return self._health()
        except UsageError as error:
            # Closed meanwhile.
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, str(error).encode())
        return Answer(HTTPStatus.NOT_FOUND, _TEXT, b"there are /metrics and /health\n")

    def _health(self) -> Answer:
        status = self._status()
        # A degraded tier is only slower: taking the process out of service would help nobody.
        is_up = status.health is not Health.OFF
        code = HTTPStatus.OK if is_up else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(code, _JSON, json.dumps(status.record(), indent=1).encode() + b"\n")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_S

            def do_GET(self) -> None:
                found = answer(self.path)
                self.send_response(found.code)
                self.send_header("Content-Type", found.kind)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: a scrape every few seconds is no event."""

        return Handler

    def close(self) -> None:
        """Stop answering; closing twice is harmless."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
