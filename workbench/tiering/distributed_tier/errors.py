"""Name the ways in which a network tier cannot be started; each message carries the fix.

Follows: workbench.errors; whatever a running tier meets is a miss and a counter, never one of
these.
Leaves out: how requests fail (miss.py).
"""

from __future__ import annotations

from workbench.errors import WorkbenchError


class NetworkTierError(WorkbenchError):
    """The network tier cannot be used as configured."""


class WrongPasswordError(NetworkTierError):
    """The server wants another user or password, or none at all."""

    def __init__(self, server: str, said: str) -> None:
        super().__init__(
            f"{server}: the server refused the login ({said}); check username and password_file"
        )


class AccessDeniedError(NetworkTierError):
    """The server's access list denies a command or the namespace."""

    def __init__(self, server: str, said: str, pattern: str) -> None:
        super().__init__(
            f"{server}: the server denies this user what the tier needs ({said}); allow it with "
            f"`ACL SETUSER ... ~{pattern} +get +set +del +exists`"
        )


class CertificateError(NetworkTierError):
    """TLS could not be agreed on: nothing was sent in plaintext instead."""

    def __init__(self, server: str, said: str) -> None:
        super().__init__(
            f"{server}: no trusted TLS connection ({said}); check ca_file, the name in the "
            "server's certificate, its dates, and cert_file and key_file if it asks for them"
        )


class UnreachableError(NetworkTierError):
    """The server did not answer at start, and the tier was required."""

    def __init__(self, server: str, said: str) -> None:
        super().__init__(
            f"{server}: not reachable ({said}); start it, correct the url, or leave out "
            "required=True to begin without it"
        )


class ServerStartError(NetworkTierError):
    """The embedded server did not start."""
