"""Compress bytes with zstandard, and decompress them into given memory of exactly their length.

Follows: sizes come from our own index, never from the frame: a frame that declares another length,
or needs a larger window, or has bytes behind its end, is refused before anything is written.
Leaves out: dictionaries, and zstandard's own checksum (the SSD tier sums the stored bytes).
"""

from __future__ import annotations

import zstandard

from workbench.tiering.compression.codec import Bytes, CodecError

LEVEL = 1  # higher ones are 2 to 10 times slower for 0.3 % on real KV
_MIN_WINDOW = 1 << 10
_BLOCK_HEADER = 3
_RLE, _RESERVED = 1, 3
_CHECKSUM_BYTES = 4


def bound(n_bytes: int) -> int:
    """Return the most that so many bytes can become: ZSTD_COMPRESSBOUND."""
    small = max(0, (128 << 10) - n_bytes) >> 11
    return n_bytes + (n_bytes >> 8) + small


class ZstdFrames:
    """Contexts that are used again and again. For one thread at a time."""

    def __init__(self, max_bytes: int) -> None:
        """Allow windows for plain lengths of ``max_bytes`` at most."""
        window = max(_MIN_WINDOW, 1 << max(0, max_bytes - 1).bit_length())
        self._window_bytes = window
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window)

    def compress(self, plain: Bytes, out: Bytes) -> int:
        """Write a frame to the start of ``out`` and return its bytes.

        Cost    0.3 to 0.5 s a GB a thread; the library makes one buffer of its own each time.
        """
        frame = self._compressor.compress(plain.data)
        out[: len(frame)] = memoryview(frame)
        return len(frame)

    def decompress(self, frame: Bytes, out: Bytes) -> None:
        """Fill ``out`` from a frame that holds exactly so many bytes.

        Raises
        ------
        CodecError   if it is no frame, is damaged, or holds more, fewer or other bytes behind it
        """
        try:
            self._check(frame, out.nbytes)
            with self._decompressor.stream_reader(frame.data, read_size=frame.nbytes) as reader:
                n_bytes = reader.readinto(out) if out.nbytes else 0
        except (zstandard.ZstdError, IndexError) as error:
            raise CodecError(f"a zstandard frame cannot be read: {error}") from None
        if n_bytes != out.nbytes:
            raise CodecError(f"a zstandard frame gave {n_bytes:,} of {out.nbytes:,} bytes")

    def _check(self, frame: Bytes, n_plain: int) -> None:
        told = zstandard.get_frame_parameters(frame.data)
        if told.content_size != n_plain or told.dict_id:
            raise CodecError(
                f"a zstandard frame declares {told.content_size:,} bytes, the index says "
                f"{n_plain:,}"
            )
        if told.window_size > self._window_bytes:
            raise CodecError(f"a zstandard frame wants a window of {told.window_size:,} bytes")
        length = _length(frame, told.has_checksum)
        if length != frame.nbytes:
            raise CodecError(f"a zstandard frame of {length:,} bytes lies in {frame.nbytes:,}")


def _length(frame: Bytes, has_checksum: bool) -> int:
    """Return where a frame ends, by its blocks' headers.

    Raises
    ------
    IndexError   if that is beyond the bytes that are there
    CodecError   for a block of a kind that does not exist
    """
    at = int(zstandard.frame_header_size(frame.data))
    is_last = False
    while not is_last:
        word = int(frame[at]) | int(frame[at + 1]) << 8 | int(frame[at + 2]) << 16
        is_last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        if kind == _RESERVED:
            raise CodecError("a zstandard frame has a block of no known kind")
        at += _BLOCK_HEADER + (1 if kind == _RLE else size)
    return at + _CHECKSUM_BYTES * has_checksum
