"""Tell at start what would never work, and begin without a server that may still come.

Follows: a wrong password or certificate is refused at start, never answered by plaintext.
Leaves out: everything after the start (node.py, prober.py).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.errors import (
    AccessDeniedError,
    CertificateError,
    NetworkTierError,
    UnreachableError,
    WrongPasswordError,
)
from workbench.tiering.distributed_tier.link import (
    PROBE_KEY,
    Link,
    Links,
    LoginRefusedError,
    Opening,
)
from workbench.tiering.distributed_tier.miss import MissError
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.prober import refresh
from workbench.tiering.distributed_tier.replies import ServerError
from workbench.tiering.distributed_tier.topology import Topology
from workbench.tiering.distributed_tier.wire_form import chunk_name

_PROBE_TTL_MS = 1000
_LISTEN_FRAC = 0.1
_LOGIN = ("WRONGPASS", "NOAUTH")
_CROWDED = "max number of clients"


def tls_context(config: NetworkTierConfig) -> ssl.SSLContext | None:
    """Return what to trust and who we are; None if the URL asks for plaintext.

    Raises
    ------
    UsageError   if a file holds no certificate or key, or they do not fit each other
    """
    if not config.address.tls:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=config.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"network tier: ca_file={_name(config.ca_file)}: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.cert_file is not None:
        try:
            context.load_cert_chain(config.cert_file, config.key_file)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(
                f"network tier: cert_file={_name(config.cert_file)} and "
                f"key_file={_name(config.key_file)} are no pair: {error}"
            ) from None
    return context


def _name(path: Path | None) -> str:
    return "None" if path is None else shown(path)


def begin(topology: Topology, opening: Opening, required: bool) -> None:
    """Ask every server once; leave those alone that do not answer.

    Raises
    ------
    NetworkTierError   in one of the kinds of errors.py
    """
    patient = opening.config.start_timeout_s
    links = Links(
        opening._replace(connect_s=patient, op_s=patient, listen_s=_LISTEN_FRAC * patient)
    )
    try:
        _greet_all(topology, links, opening.config, required)
        if topology.is_outdated and refresh(topology, links):
            _greet_all(topology, links, opening.config, required)
        if topology.is_outdated and required:
            raise UnreachableError(opening.config.shown_url, "no node tells where the slots are")
    finally:
        links.close()


def _greet_all(topology: Topology, links: Links, config: NetworkTierConfig, required: bool) -> None:
    for node in topology.nodes():
        try:
            greet(links.to(node.endpoint), config)
        except UnreachableError as error:
            if required:
                raise
            _leave_alone(node, error)


def _leave_alone(node: Node, error: NetworkTierError) -> None:
    if not node.breaker.is_open:
        node.give_up(str(error))


def greet(link: Link, config: NetworkTierConfig) -> None:
    """Log in and try each command that the tier needs.

    Raises
    ------
    NetworkTierError   in one of the kinds of errors.py
    """
    name = chunk_name(config.namespace.encode(), PROBE_KEY, 0)
    commands: tuple[tuple[str | bytes | int, ...], ...] = (
        ("EXISTS", name),
        ("GET", name),
        ("SET", name, b"probe", "PX", _PROBE_TTL_MS),
    )
    for words in commands:
        try:
            link.command(*words)
        except ServerError as error:
            _judge(error, link, config)
        except MissError as error:
            raise _explained(error, link, config) from error


def _judge(error: ServerError, link: Link, config: NetworkTierConfig) -> None:
    """Raise if an error reply will never change by itself."""
    server = str(link.endpoint)
    if error.code == "LOADING" or _CROWDED in str(error):
        raise UnreachableError(server, str(error)) from error
    if error.code in _LOGIN or isinstance(error, LoginRefusedError):
        raise WrongPasswordError(server, str(error)) from error
    if error.code == "NOPERM":
        raise AccessDeniedError(server, str(error), f"{config.namespace}:*") from error


def _explained(error: MissError, link: Link, config: NetworkTierConfig) -> NetworkTierError:
    server = str(link.endpoint)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return CertificateError(server, cause.reason or str(cause))
        if isinstance(cause, ssl.CertificateError):
            return CertificateError(server, str(cause))
    return UnreachableError(server, str(error))


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and len(causes) < 10:
        causes.append(step)
        step = step.__cause__ or step.__context__
    return causes
