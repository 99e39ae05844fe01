"""A network tier on Valkey or Redis: one server, or a cluster, shared by processes and machines.

`tier.py` is the door, `embedded.py` a server for a laptop. `wire_form.py` says what lies on a
server, `link.py` is one connection, `node.py` and `breaker.py` decide whether it is worth asking.
"""

from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.embedded import EmbeddedServer
from workbench.tiering.distributed_tier.errors import (
    AccessDeniedError,
    CertificateError,
    NetworkTierError,
    ServerStartError,
    UnreachableError,
    WrongPasswordError,
)
from workbench.tiering.distributed_tier.stats import NetworkStats
from workbench.tiering.distributed_tier.tier import NetworkTier

__all__ = [
    "AccessDeniedError",
    "CertificateError",
    "EmbeddedServer",
    "NetworkStats",
    "NetworkTier",
    "NetworkTierConfig",
    "NetworkTierError",
    "ServerStartError",
    "UnreachableError",
    "WrongPasswordError",
]
