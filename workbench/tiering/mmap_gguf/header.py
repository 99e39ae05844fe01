"""Read a GGUF file's header: metadata and where every tensor lies, nothing of the weights.

Follows: the GGUF specification, versions 2 and 3, little-endian; offsets in order, as writers do.
Leaves out: tensor data (model_map.py), big-endian files, and what lies in other files of a model
that is split (split_files.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from workbench.tiering.mmap_gguf.ggml_types import GGML_TYPES, GGMLType
from workbench.tiering.mmap_gguf.metadata import Field, Skipped, Value, read_pair
from workbench.tiering.mmap_gguf.open_file import GGUFError, OpenFile
from workbench.tiering.mmap_gguf.reader import Budget, Reader

__all__ = ["GGUFHeader", "Skipped", "TensorInfo", "read_header"]

_MAGIC = int.from_bytes(b"GGUF", "little")
_VERSIONS = (2, 3)
_MAX_RECORDS = 65_536
_MIN_PAIR_BYTES, _MIN_TENSOR_BYTES = 13, 25
_MAX_NAME_BYTES = 63
_MAX_DIMS = 4
_MAX_VALUES = 1 << 48
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 65_536


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies.

    Attributes
    ----------
    shape : tuple of int   values along each dimension as stored, the contiguous row first
    ggml_type : GGMLType   name and block layout
    offset : int           bytes from the start of its file, checked to lie inside it
    n_bytes : int          bytes of the data
    part : int             which file of a split model it lies in, 0 where there is one
    """

    name: str
    shape: tuple[int, ...]
    ggml_type: GGMLType
    offset: int
    n_bytes: int
    part: int = 0


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """Everything a GGUF file says before its weights.

    Attributes
    ----------
    path : Path                 the file
    version : int               2 or 3
    fields : mapping            key -> value with declared type and place
    tensors : tuple             in file order; they do not overlap
    alignment : int             bytes, power of two
    data_offset : int           where tensor data begins, bytes
    file_bytes : int            size of the file when it was read
    """

    path: Path
    version: int
    fields: Mapping[str, Field]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int
    file_bytes: int

    @property
    def metadata(self) -> dict[str, Value]:
        """Return the values by key."""
        return {key: field.value for key, field in self.fields.items()}

    @property
    def architecture(self) -> str:
        """Return the model's architecture, e.g. "llama"."""
        return self.string("general.architecture")

    def string(self, key: str) -> str:
        """Return a string value.

        Raises
        ------
        GGUFError   if the key is missing or not a string
        """
        field = self.field(key, "string")
        if not isinstance(field.value, str):
            raise self.refuse(f"{key} is too long to be kept", field.offset)
        return field.value

    def integer(self, key: str, low: int, high: int) -> int:
        """Return a u32 value within a range.

        Raises
        ------
        GGUFError   if the key is missing, of another type, or outside ``low..high``
        """
        field = self.field(key, "u32")
        assert isinstance(field.value, int)
        if not low <= field.value <= high:
            raise self.refuse(f"{key} = {field.value} is outside {low}..{high}", field.offset)
        return field.value

    def real(self, key: str, low: float, high: float) -> float:
        """Return an f32 value within a range.

        Raises
        ------
        GGUFError   if the key is missing, of another type, not a number, or outside ``low..high``
        """
        field = self.field(key, "f32")
        assert isinstance(field.value, float)
        if not low <= field.value <= high:
            raise self.refuse(f"{key} = {field.value} is outside {low:g}..{high:g}", field.offset)
        return field.value

    def field(self, key: str, *kinds: str) -> Field:
        """Return a field that must exist and have one of the given types.

        Raises
        ------
        GGUFError   if it is missing or of another type
        """
        if key not in self.fields:
            raise self.refuse(f"{key} is missing", self.data_offset)
        field = self.fields[key]
        if field.kind not in kinds:
            raise self.refuse(f"{key} is {field.kind}, expected {' or '.join(kinds)}", field.offset)
        return field

    def refuse(self, reason: str, offset: int) -> GGUFError:
        """Return the error to raise about this file."""
        return GGUFError(self.path, offset, reason)

    def weight_bytes(self) -> dict[str, int]:
        """Return the bytes of all tensors by type name, the largest share first."""
        totals: dict[str, int] = {}
        for tensor in self.tensors:
            name = tensor.ggml_type.name
            totals[name] = totals.get(name, 0) + tensor.n_bytes
        return dict(sorted(totals.items(), key=lambda item: -item[1]))


def read_header(path: Path) -> GGUFHeader:
    """Read and check a GGUF header.

    Parameters
    ----------
    path : Path   a local file

    Raises
    ------
    GGUFError   for anything that is not a whole, consistent GGUF file; names the byte

    Cost    O(keys + tensors + vocabulary), 30 ms for 49,152 tokens; keeps at most 8 MiB of values,
            reads no weights. A hostile file is refused within 1 s.
    """
    with OpenFile(path) as file:
        return header_of(file)


def header_of(file: OpenFile, part: int = 0, budget: Budget | None = None) -> GGUFHeader:
    """Read and check the header of a file that is open, as `read_header` does.

    Parameters
    ----------
    file : OpenFile
    part : int        the file's number in its model, for its tensors
    budget : Budget   what the headers of one model may take together; without, one of its own
    """
    reader = Reader(file, budget)
    version = _version(reader)
    n_tensors = _count(reader, "tensors", _MIN_TENSOR_BYTES)
    n_pairs = _count(reader, "metadata pairs", _MIN_PAIR_BYTES)
    fields = MappingProxyType(_fields(reader, n_pairs))
    alignment = _alignment(reader, fields)
    claims = _tensors(reader, n_tensors)
    data_offset = -(-reader.offset // alignment) * alignment
    tensors = tuple(_place(reader, claims, alignment, data_offset, part))
    return GGUFHeader(
        file.path, version, fields, tensors, alignment, data_offset, reader.file_bytes
    )


def _version(reader: Reader) -> int:
    if reader.u32() != _MAGIC:
        raise reader.refuse("not a GGUF file: it does not begin with 'GGUF'", 0)
    version = reader.u32()
    if version in _VERSIONS:
        return version
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    reason = (
        "big-endian GGUF is not supported; convert the file"
        if swapped in _VERSIONS
        else f"GGUF version {version} is not supported; versions 2 and 3 are"
    )
    raise reader.refuse(reason, 4)


def _count(reader: Reader, what: str, least_bytes: int) -> int:
    start = reader.offset
    count = reader.u64()
    if count > _MAX_RECORDS or count * least_bytes > reader.remaining:
        raise reader.refuse(
            f"{count} {what} claimed; {_MAX_RECORDS} are allowed "
            f"and {reader.remaining} bytes remain",
            start,
        )
    return count


def _fields(reader: Reader, n_pairs: int) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for _ in range(n_pairs):
        start = reader.offset
        key, field = read_pair(reader)
        if key in fields:
            raise reader.refuse(f"key {key[:80]!r} appears twice", start)
        fields[key] = field
    return fields


def _alignment(reader: Reader, fields: Mapping[str, Field]) -> int:
    field = fields.get("general.alignment")
    if field is None:
        return _DEFAULT_ALIGNMENT
    value = field.value
    if field.kind != "u32" or not isinstance(value, int):
        raise reader.refuse(f"general.alignment is {field.kind}, expected u32", field.offset)
    if not 8 <= value <= _MAX_ALIGNMENT or value & (value - 1):
        raise reader.refuse(
            f"general.alignment = {value} is no power of two from 8 to {_MAX_ALIGNMENT}",
            field.offset,
        )
    return value


@dataclass(frozen=True, slots=True)
class _Claim:
    """A tensor as the file claims it: offset relative to the data, not yet checked against it."""

    name: str
    shape: tuple[int, ...]
    ggml_type: GGMLType
    offset: int
    place: int


def _tensors(reader: Reader, n_tensors: int) -> list[_Claim]:
    claims: list[_Claim] = []
    names: set[str] = set()
    for _ in range(n_tensors):
        claim = _claim(reader)
        if claim.name in names:
            raise reader.refuse(f"tensor {claim.name!r} appears twice", claim.place)
        names.add(claim.name)
        claims.append(claim)
    return claims


def _claim(reader: Reader) -> _Claim:
    place = reader.offset
    name = reader.text("tensor name", _MAX_NAME_BYTES, min_bytes=1)
    n_dims = reader.u32()
    if not 1 <= n_dims <= _MAX_DIMS:
        raise reader.refuse(
            f"tensor {name!r} has {n_dims} dimensions; 1 to {_MAX_DIMS} are allowed", place
        )
    shape = tuple(reader.u64() for _ in range(n_dims))
    n_values = 1
    for extent in shape:
        n_values *= extent
    if not 1 <= n_values <= _MAX_VALUES:
        raise reader.refuse(
            f"tensor {name!r} of shape {shape} has no values or more than 2^48", place
        )
    kind = reader.u32()
    if kind not in GGML_TYPES:
        raise reader.refuse(f"tensor {name!r} has the unknown type {kind}", place)
    block_values = GGML_TYPES[kind].block_values
    if shape[0] % block_values:
        raise reader.refuse(
            f"tensor {name!r}: rows of {shape[0]} values are no multiple of {block_values}", place
        )
    return _Claim(name, shape, GGML_TYPES[kind], reader.u64(), place)


def _place(
    reader: Reader, claims: list[_Claim], alignment: int, data_offset: int, part: int
) -> Iterator[TensorInfo]:
    """Check that every tensor lies aligned inside the file, after the one before it."""
    end = 0
    for claim in claims:
        n_values = 1
        for extent in claim.shape:
            n_values *= extent
        n_bytes = n_values // claim.ggml_type.block_values * claim.ggml_type.block_bytes
        problem = ""
        if claim.offset % alignment:
            problem = f"offset {claim.offset} is no multiple of {alignment}"
        elif claim.offset < end:
            problem = f"offset {claim.offset} overlaps or precedes the tensor before it ({end})"
        elif data_offset + claim.offset + n_bytes > reader.file_bytes:
            problem = (
                f"{n_bytes} bytes at {data_offset + claim.offset} "
                f"pass the file's end at {reader.file_bytes}"
            )
        if problem:
            raise reader.refuse(f"tensor {claim.name!r}: {problem}", claim.place)
        end = claim.offset + n_bytes
        start = data_offset + claim.offset
        yield TensorInfo(claim.name, claim.shape, claim.ggml_type, start, n_bytes, part)
