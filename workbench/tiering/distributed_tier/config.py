"""Say which server a network tier uses, how long anything may take and how much may wait.

Follows: every resource has a configured limit that holds; all problems are named at once.
Leaves out: what a server keeps (its own maxmemory and eviction policy).
"""

from __future__ import annotations

import math
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.distributed_tier.address import Address, parse, redacted
from workbench.tiering.ssd_tier.frame import HEADER_BYTES

MIB = 1 << 20
# A value of this size still moves within the op time-out at 160 MiB/s.
MAX_VALUE_BYTES = 8 * MIB
MIN_CHUNK_BYTES = 4096
MAX_BLOCK_BYTES = 1 << 30
_TIMES = (
    "connect_timeout_s",
    "op_timeout_s",
    "start_timeout_s",
    "ttl_s",
    "breaker_wasted_s",
    "probe_every_s",
    "full_pause_s",
)
_COUNTS = ("connections", "write_queue_bytes", "write_queue_blocks", "breaker_failures")


@dataclass(frozen=True, slots=True)
class NetworkTierConfig:
    """How one network tier is run.

    Attributes
    ----------
    url : str                       valkey://host:port, valkeys:// for TLS, valkey+cluster://a,b for
                                    a cluster, valkey+unix:///path; redis:// and rediss:// too
    username : str                  of an ACL user; "" for the URL's, or the default user
    password_file : Path or None    mode 0600; better than a password in the URL
    ca_file, cert_file, key_file    TLS: whom to trust (None: the system), and who we are
    namespace : str                 begins every key
    connect_timeout_s : float       for a connection, and again for its TLS handshake
    op_timeout_s : float            for one command and its whole reply, a chunk at most
    start_timeout_s : float         takes the place of both while the tier starts
    ttl_s : float                   the server forgets what was not written again for so long
    chunk_bytes : int               of a block a value holds at most, 4 KiB..8 MiB less the header
    max_block_bytes : int           larger blocks are neither written nor read
    connections : int               fetches by callers at once, and as many by background threads
    write_queue_bytes, write_queue_blocks : int    waiting to be written; more are dropped
    breaker_failures : int          in a row, then the endpoint is left alone ...
    breaker_wasted_s : float        ... or when they cost so much time ...
    probe_every_s : float           ... but for one probe in so many seconds
    full_pause_s : float            how long nothing is written to a server that is out of memory
    """

    url: str = field(repr=False)
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    namespace: str = "kv"
    connect_timeout_s: float = 0.1
    op_timeout_s: float = 0.05
    start_timeout_s: float = 2.0
    ttl_s: float = 86_400.0
    chunk_bytes: int = MIB
    max_block_bytes: int = 64 * MIB
    connections: int = 4
    write_queue_bytes: int = 64 * MIB
    write_queue_blocks: int = 256
    breaker_failures: int = 3
    breaker_wasted_s: float = 0.1
    probe_every_s: float = 1.0
    full_pause_s: float = 1.0

    def __post_init__(self) -> None:
        problems = [f"{name}={value} must be {rule}" for name, value, rule in self._broken_rules()]
        try:
            problems += self._broken_tls(parse(self.url))
        except UsageError as error:
            problems += error.problems
        problems += self._broken_files()
        if problems:
            raise UsageError([f"network tier: {problem}" for problem in problems])

    def _broken_rules(self) -> list[tuple[str, object, str]]:
        most = MAX_VALUE_BYTES - HEADER_BYTES
        named = re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", self.namespace) is not None
        rules = [
            ("namespace", named, "1..64 letters, digits and . : _ -"),
            (
                "chunk_bytes",
                MIN_CHUNK_BYTES <= self.chunk_bytes <= most,
                f"{MIN_CHUNK_BYTES}..{most}",
            ),
            (
                "max_block_bytes",
                1 <= self.max_block_bytes <= MAX_BLOCK_BYTES,
                f"1..{MAX_BLOCK_BYTES}",
            ),
            *(
                (name, _is_time(getattr(self, name)), "a positive, finite number of seconds")
                for name in _TIMES
            ),
            *((name, getattr(self, name) >= 1, "at least 1") for name in _COUNTS),
        ]
        return [(name, getattr(self, name), rule) for name, holds, rule in rules if not holds]

    def _broken_tls(self, address: Address) -> list[str]:
        problems = []
        files = [name for name in ("ca_file", "cert_file", "key_file") if getattr(self, name)]
        if files and not address.tls:
            problems.append(f"{', '.join(files)} given, but the url asks for plaintext; valkeys://")
        if (self.cert_file is None) != (self.key_file is None):
            problems.append("cert_file and key_file go together; give both or none")
        if address.password and self.password_file is not None:
            problems.append("a password stands in the url and in password_file; keep the file")
        return problems

    def _broken_files(self) -> list[str]:
        problems = []
        for name in ("password_file", "ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            if path is None:
                continue
            if not path.is_file():
                problems.append(f"{name}={shown(path)} is no file")
            elif name in ("password_file", "key_file") and _is_open_to_others(path):
                problems.append(f"{name}={shown(path)} can be read by others; chmod 600")
        return problems

    @property
    def address(self) -> Address:
        """Return what the URL says."""
        return parse(self.url)

    @property
    def shown_url(self) -> str:
        """Return the URL without a password."""
        return redacted(self.url)

    def credentials(self) -> tuple[str, str]:
        """Return the user and password, "" for none; the file is read anew each time.

        Raises
        ------
        OSError   if the password file went away
        """
        address = self.address
        password = address.password
        if self.password_file is not None:
            password = self.password_file.read_text().strip()
        return self.username or address.username, password


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds > 0


def _is_open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
