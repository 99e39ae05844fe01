"""Read data/manifest.toml: every data set and model, its licence, its files and their source.

Follows: Debian's and pip's rule that a file is what its sha256 says, wherever it came from.
Leaves out: fetching (getting.py). To add a data set, add a table to the manifest; no code changes.
"""

from __future__ import annotations

import difflib
import tomllib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workbench import paths
from workbench.errors import DataError, UsageError


def _stays_inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in path:
        raise ValueError(f"{path!r} must be a relative path without '..'")
    return path


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(gt=0)]
Inside = Annotated[str, AfterValidator(_stays_inside)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FilesSource(_Table):
    """Single files below one address, usually a folder of a repository at a fixed commit."""

    kind: Literal["files"]
    url: str


class ArchiveSource(_Table):
    """One archive by its address; without a sha256 its members alone are checked."""

    kind: Literal["archive"]
    url: str
    format: Literal["zip", "tar.gz"]
    bytes: Bytes  # exact when a sha256 is given, else the most that is accepted
    sha256: Sha256 | None = None


class PackageSource(_Table):
    """One wheel of a package index, found through the user's own pip settings."""

    kind: Literal["package"]
    package: str
    version: str
    bytes: Bytes
    sha256: Sha256
    format: Literal["zip"] = "zip"

    @property
    def url(self) -> str:
        """What to call the source in messages; its address is the index's own affair."""
        return f"package {self.package}=={self.version}"


class Pack(_Table):
    """Members of a source archive packed again into one .tar.xz, known by its contents."""

    member: Annotated[
        str, Field(pattern=r"^[^{}]*\{\}[^{}]*$")
    ]  # a member's name with {} for the number
    numbers: str  # "1-3 7": which numbers, zero-padded to `digits`
    digits: int
    sha256: Sha256  # over the members' sizes and hashes, see archive.contents_sha256
    bytes: Bytes  # of all members together

    def members(self) -> dict[str, str]:
        """Return the archive's member name by the name inside the new .tar.xz, in order."""
        names = {}
        for span in self.numbers.split():
            first, _, last = span.partition("-")
            for number in range(int(first), int(last or first) + 1):
                member = self.member.format(f"{number:0{self.digits}d}")
                names[PurePosixPath(member).name] = member
        return names


class DataFile(_Table):
    """One file below the data folder."""

    path: Inside
    bytes: Bytes
    sha256: Sha256
    member: str | None = (
        None  # its name at the source, where that differs from the last part of `path`
    )
    pack: Pack | None = None

    @property
    def source_name(self) -> str:
        """Its name at the source."""
        return self.member or PurePosixPath(self.path).name


class DataSet(_Table):
    """One data set or model: what it is, who may use it, its files and their source."""

    name: str
    about: str
    licence: str
    source: Annotated[FilesSource | ArchiveSource | PackageSource, Field(discriminator="kind")]
    files: Annotated[tuple[DataFile, ...], Field(min_length=1)]

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


def manifest_path() -> Path:
    """Return where the manifest lies: in the checkout, wherever WORKBENCH_DATA puts downloads."""
    return paths.root() / "data" / "manifest.toml"


def load() -> dict[str, DataSet]:
    """Return every data set by name, in the manifest's order.

    Raises
    ------
    DataError   if the manifest is missing or malformed; every problem is listed.
    """
    return _load(manifest_path())


@lru_cache(maxsize=4)
def _load(path: Path) -> dict[str, DataSet]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        named = [{"name": name, **table} for name, table in tables.items()]
        found = TypeAdapter(list[DataSet]).validate_python(named)
    except FileNotFoundError:
        raise DataError(
            f"no manifest at {paths.shown(path)}; run from a checkout of the project"
        ) from None
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataError(f"{paths.shown(path)} is malformed: {error}") from error
    return {data_set.name: data_set for data_set in found}


def find(name: str) -> DataSet:
    """Return a data set by name.

    Raises
    ------
    UsageError   if there is none of that name; suggests the nearest.
    """
    known = load()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"no data set named {name!r}; {hint} (workbench data list)")
    return known[name]
