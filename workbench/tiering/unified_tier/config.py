"""One configuration of all tiers: from code, a TOML file or the environment, checked as a whole.

Follows: pydantic for types; every problem is named at once with its value, the limit and the fix;
nothing secret is ever shown (an address may hold a password, a tenant's name is one).
Leaves out: finer settings of each tier, which have their own (CacheConfig, SsdTierConfig,
NetworkTierConfig), and what is made of the budgets (ram_plan.py).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workbench.errors import UsageError
from workbench.tiering import compression, eviction, write_policy
from workbench.tiering.compression import CODECS
from workbench.tiering.distributed_tier import NetworkTierConfig
from workbench.tiering.named import pick
from workbench.tiering.ssd_tier import SsdTierConfig
from workbench.tiering.unified_tier.explaining import explained, unknown
from workbench.tiering.unified_tier.reading import read_environment, read_toml
from workbench.tiering.unified_tier.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1 << 20
# A frame of ten layers of a 70B model is a sixth of it.
_MAX_FRAME_BYTES = 16 * MIB
_LEAST_SEGMENT_BYTES = 4 * MIB
_LEAST_SSD_BYTES = 16 * MIB
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=1)]
Frac = Annotated[float, Field(ge=0, le=1)]
Home = Annotated[Path, BeforeValidator(lambda said: Path(said).expanduser())]


def setting(default: object, text: str, *, secret: bool = False, **limits: Any) -> Any:
    """Declare a setting with what it means."""
    return Field(default, description=text, repr=not secret, **limits)


class UnifiedTierConfig(BaseModel):
    """How all tiers are run. Sizes are bytes, or texts such as ``"2 GiB"``.

    Raises
    ------
    UsageError   with one line for every problem
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ram_bytes: Size | None = setting(
        None, "memory for weights, keys and values, and buffers; None: as hot_tokens says"
    )
    hot_tokens: int = setting(
        8192, "tokens whose keys and values memory is for, where ram_bytes is not given", ge=1
    )
    kv_min_frac: Frac = setting(0.1, "of the memory that weights and KV share: KV's least")
    kv_max_frac: Frac = setting(0.9, "of the memory that weights and KV share: KV's most")

    ssd_folder: Home | None = setting(None, "folder of the SSD tier; None: memory only")
    ssd_bytes: Size = setting(1 << 30, "the most that the folder may hold")
    key: str | None = setting(
        None, "where the key is that seals the folder: a file, fd:3 or keyring:service/user"
    )

    network_url: str | None = setting(
        None, "Valkey server that shares the blocks, as valkey://host:port", secret=True
    )
    network_username: str = setting("", "of an ACL user")
    network_password_file: Home | None = setting(None, "its password, in a file of mode 0600")
    network_ca_file: Home | None = setting(None, "whom to trust; None: the system")
    network_cert_file: Home | None = setting(None, "who we are")
    network_key_file: Home | None = setting(None, "and the key to that, in a file of mode 0600")
    network_namespace: str = setting("kv", "begins every key on the server")
    network_ttl_s: float = setting(86_400.0, "seconds until the server forgets what is not renewed")
    network_queue_bytes: Size = setting(64 * MIB, "blocks that may wait for the server")

    dtype: Literal["float32", "float16", "int8"] = setting("float16", "in which KV is kept")
    codec: str = setting(
        "none",
        f"makes blocks smaller in the folder: {', '.join(CODECS)}; or one, and another for some "
        "layers: int8,int4:12-29",
    )
    tenant: str = setting("", "whose; other tenants' blocks are never found", secret=True)
    eviction: str = setting("lru", f"policy of memory: {', '.join(eviction.POLICIES)}")
    write: str = setting(
        "write_through",
        f"policy for writing to the folder: {', '.join(write_policy.WRITE_POLICIES)}",
    )
    resume: Literal["load", "adaptive"] = setting(
        "load", "how a cold prefix is got: read, or whichever of reading and computing is faster"
    )
    deadline_s: float | None = setting(
        None, "what of a prefix is not read by then is computed; None: no limit", gt=0
    )
    event_log: Home | None = setting(None, "file that events are appended to, a JSON object a line")

    def __init__(self, **values: object) -> None:
        fields = type(self).model_fields
        problems = [unknown(type(self), name) for name in values if name not in fields]
        values = {name: value for name, value in values.items() if name in fields}
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = explained(type(self), error)
            problems += wrong.values()
            # The sound ones are looked at together, so that their problems are named too.
            super().__init__(**{k: v for k, v in values.items() if k not in wrong})
        problems += self._problems()
        if problems:
            raise UsageError(problems)

    @classmethod
    def from_toml(cls, path: Path, **changes: object) -> Self:
        """Return the configuration of a file; ``changes`` come before it.

        Relative paths in it start from the working folder.

        Raises
        ------
        UsageError   if the file cannot be read, or for what is wrong in it
        """
        return cls(**(read_toml(path) | changes))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **changes: object) -> Self:
        """Return the configuration of variables: WORKBENCH_TIER_RAM_BYTES and so on.

        Parameters
        ----------
        environ : mapping or None   None: the process's environment
        """
        return cls(**(read_environment(environ) | changes))

    @classmethod
    def gather(cls, path: Path | None = None, **changes: object) -> Self:
        """Return what a command line runs with: ``changes`` before the file before variables."""
        file = {} if path is None else read_toml(path)
        return cls.from_environment(None, **(file | changes))

    def _problems(self) -> list[str]:
        problems = [f"{name}={getattr(self, name)}: {why}" for name, why in self._broken_rules()]
        for check in (
            partial(compression.parse, self.codec),
            partial(pick, "eviction policy", self.eviction, eviction.POLICIES),
            partial(pick, "write policy", self.write, write_policy.WRITE_POLICIES),
        ):
            try:
                check()
            except UsageError as error:
                problems += error.problems
        problems += self._network_problems()
        if self.ssd_folder is None and self.key is not None:
            problems.append("a key seals a folder, and none is given: give one, or no key")
        if self.ssd_folder is None and self.network_url is not None:
            problems.append("a network tier brings blocks to a folder: give ssd_folder too")
        return problems

    def _broken_rules(self) -> list[tuple[str, str]]:
        both = {"ram_bytes", "hot_tokens"} <= self.model_fields_set and self.ram_bytes is not None
        rules = [
            ("hot_tokens", not both, "ram_bytes says how much memory there is; give one of both"),
            ("ssd_bytes", self.ssd_bytes >= _LEAST_SSD_BYTES, f"at least {_LEAST_SSD_BYTES:,}"),
            ("kv_min_frac", self.kv_min_frac <= self.kv_max_frac, "at most kv_max_frac"),
            ("kv_max_frac", self.kv_max_frac > 0, "above 0, or nothing could be kept"),
        ]
        return [(name, why) for name, holds, why in rules if not holds]

    def _network_problems(self) -> list[str]:
        if self.network_url is None:
            return []
        try:
            self.network_config()
        except UsageError as error:
            return error.problems
        return []

    def network_config(self) -> NetworkTierConfig:
        """Return the network tier's part.

        Raises
        ------
        UsageError   with everything that is wrong in it
        """
        return NetworkTierConfig(
            self.network_url or "",
            username=self.network_username,
            password_file=self.network_password_file,
            ca_file=self.network_ca_file,
            cert_file=self.network_cert_file,
            key_file=self.network_key_file,
            namespace=self.network_namespace,
            ttl_s=self.network_ttl_s,
            write_queue_bytes=self.network_queue_bytes,
            max_block_bytes=_MAX_FRAME_BYTES,
        )

    def ssd_config(self, pool_bytes: int) -> SsdTierConfig:
        """Return the SSD tier's part."""
        # Eight segments at least: one that is reclaimed must not be a third of a small store.
        eighth = 1 << (self.ssd_bytes // 8).bit_length() - 1
        segment_bytes = min(64 * MIB, max(_LEAST_SEGMENT_BYTES, eighth))
        return SsdTierConfig(self.ssd_bytes, segment_bytes, pool_bytes=pool_bytes)
