"""Run a peer's worker with the peers' interpreter, and call it: our half of a peer.

Follows: serving.py's lines. A worker that dies, hangs or answers nonsense is an error with the end
of what it wrote, never a wait without end.
Leaves out: what the calls mean (peer.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from workbench import paths
from workbench.errors import WorkbenchError

_SHOWN_BYTES = 2000
_END_S = 5.0


class PeerError(WorkbenchError):
    """Another engine is not there, failed, or did not answer."""


class PeerProcess:
    """One worker; whoever starts it closes it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the worker.

        Parameters
        ----------
        command : sequence of str    program and arguments
        environment : mapping        added to this process's environment

        Raises
        ------
        PeerError   if the program cannot be started
        """
        # Appended to, as the worker shares this file's position; close() closes it.
        self._written = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        self._unread = b""
        try:
            self._worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._written,
                cwd=paths.root(),
                env={**os.environ, **environment},
            )
        except OSError as error:
            self._written.close()
            raise PeerError(f"the peer's worker cannot be started: {error.strerror}") from error
        assert self._worker.stdout is not None
        os.set_blocking(self._worker.stdout.fileno(), False)

    def call(self, name: str, timeout_s: float, **arguments: object) -> object:
        """Make one call and return what it answers.

        Parameters
        ----------
        name : str
        timeout_s : float    after which the worker is ended
        **arguments          JSON values

        Raises
        ------
        PeerError   if the call fails, or the worker dies, hangs or answers what is no answer
        """
        line = json.dumps({"do": name, "with": arguments}).encode() + b"\n"
        assert self._worker.stdin is not None
        try:
            self._worker.stdin.write(line)
            self._worker.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._failure(f"{name}: the peer's worker is gone") from error
        return self._result(name, self._line(name, time.monotonic() + timeout_s, timeout_s))

    def close(self) -> None:
        """End the worker; again is nothing."""
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        with contextlib.suppress(OSError):
            self._worker.stdin.close()
        try:
            self._worker.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()
        self._worker.stdout.close()
        self._written.close()

    def _line(self, name: str, deadline: float, timeout_s: float) -> bytes:
        assert self._worker.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._worker.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._worker.kill()
                    raise self._failure(f"{name}: no answer within {timeout_s:g} s")
                chunk = os.read(self._worker.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._failure(f"{name}: the peer's worker ended")
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _result(self, name: str, line: bytes) -> object:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not {"ok", "error"} & set(answer):
            raise self._failure(f"{name}: {line[:200]!r} is no answer")
        if "error" in answer:
            raise PeerError(f"{name}: {answer['error']}")
        return answer["ok"]

    def _failure(self, what: str) -> PeerError:
        """Return the error to raise, with the end of what the worker wrote."""
        if self._written.closed:
            return PeerError(what)
        self._written.seek(0, os.SEEK_END)
        self._written.seek(max(0, self._written.tell() - _SHOWN_BYTES))
        said = self._written.read().decode("utf-8", "replace").strip()
        return PeerError(f"{what}; it wrote:\n{said}" if said else what)
