"""Hold the one secret that a user keeps: 32 random bytes, as they are or as 64 hex digits.

Follows: the master only wraps a store's own keys (TiKV's envelope), so changing it rewrites one
small file.
Leaves out: where it comes from (key_source.py), passwords.
"""

from __future__ import annotations

from pathlib import Path

from workbench.tiering.encryption.core_dumps import forbid_core_dumps
from workbench.tiering.encryption.derivation import derive
from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.private_file import write_private
from workbench.tiering.encryption.secret import SECRET_BYTES, Secret

MASTER_ID_BYTES = 8


class MasterKey:
    """A master key; from then on the process leaves no core file.

    Attributes
    ----------
    id : bytes[8]   tells one from another, and nothing of the key
    """

    __slots__ = ("_secret", "id")

    def __init__(self, secret: Secret) -> None:
        forbid_core_dumps()
        self._secret = secret
        self.id = derive(secret, b"", b"master id").reveal()[:MASTER_ID_BYTES]

    @classmethod
    def parse(cls, raw: bytes, source: str) -> MasterKey:
        """Read a key as a file holds it.

        Parameters
        ----------
        source : str   where it is from, for the message

        Raises
        ------
        MasterKeyError   if these are not 32 bytes or 64 hex digits
        """
        secret = _secret_in(raw)
        if secret is None:
            raise MasterKeyError(
                f"{source}: holds {len(raw)} bytes, which are no key; it must hold "
                f"{SECRET_BYTES} bytes or {2 * SECRET_BYTES} hex digits, not all the same: "
                "`workbench key new` makes one"
            )
        return cls(secret)

    @classmethod
    def create(cls, path: Path) -> MasterKey:
        """Make a key and its file, as hex digits.

        Raises
        ------
        MasterKeyError   if there is such a file already, or it cannot be made
        """
        secret = Secret.random()
        write_private(path, secret.reveal().hex().encode() + b"\n")
        return cls(secret)

    def wrapping_key(self) -> Secret:
        """Return the key under which a store's own keys are wrapped."""
        return derive(self._secret, b"", b"wraps store keys")

    def __repr__(self) -> str:
        return f"<master key {self.id.hex()}>"


def _secret_in(raw: bytes) -> Secret | None:
    if len(raw) != SECRET_BYTES:
        try:
            raw = bytes.fromhex(raw.decode("ascii"))
        except ValueError:
            return None
    is_key = len(raw) == SECRET_BYTES and len(set(raw)) > 1
    return Secret(raw) if is_key else None
