"""zstandard: bombs, wrong lengths, trailing bytes, damage."""

import numpy as np
import pytest
import zstandard

from workbench.tiering.compression import CodecError
from workbench.tiering.compression.zstd_frames import ZstdFrames, bound

PLAIN = np.random.default_rng(0).integers(0, 20, 5000).astype(np.uint8)
FRAMES = ZstdFrames(PLAIN.nbytes)


def packed(plain=PLAIN):
    out = np.zeros(bound(plain.nbytes), np.uint8)
    return out[: FRAMES.compress(plain, out)]


def as_array(raw):
    return np.frombuffer(raw, np.uint8)


@pytest.mark.parametrize("n_bytes", [1, 2, 5000])
@pytest.mark.parametrize("spread", [1, 20, 256])
def test_there_and_back_within_the_bound(n_bytes, spread):
    plain = np.random.default_rng(1).integers(0, spread, n_bytes).astype(np.uint8)
    out = np.full(n_bytes, 0xAA, np.uint8)
    FRAMES.decompress(packed(plain), out)
    np.testing.assert_array_equal(out, plain)


def test_a_declared_tebibyte_is_refused_before_anything_is_allocated():
    # Magic, a descriptor (single segment, 8 bytes of content size), then the size.
    header = bytes.fromhex("28b52ffd") + bytes([0b1110_0000]) + (1 << 40).to_bytes(8, "little")
    for tail in (b"", bytes([1, 0, 0]), bytes(64)):
        with pytest.raises(CodecError, match="1,099,511,627,776"):
            FRAMES.decompress(as_array(header + tail), np.zeros(5000, np.uint8))


def test_a_frame_that_lies_small_and_is_large_is_refused():
    bomb = bytearray(zstandard.ZstdCompressor(level=19).compress(bytes(50_000_000)))
    with pytest.raises(CodecError, match="declares 50,000,000"):
        FRAMES.decompress(as_array(bytes(bomb)), np.zeros(5000, np.uint8))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(50_000_000))
    with pytest.raises(CodecError):
        FRAMES.decompress(as_array(unsized), np.zeros(5000, np.uint8))


def test_a_large_window_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=True)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=5000)
    frame = writer.compress(PLAIN.tobytes()) + writer.flush()
    if zstandard.get_frame_parameters(frame).window_size <= 1 << 13:
        frame = bytes.fromhex("28b52ffd") + bytes([0b0100_0000, 17 << 3]) + frame[5:]
    with pytest.raises(CodecError):
        FRAMES.decompress(as_array(frame), np.zeros(5000, np.uint8))


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0", bytes(100), b"again"])
def test_bytes_behind_the_frame_are_refused(extra):
    for tail in (extra, packed().tobytes()):
        with pytest.raises(CodecError, match="lies in"):
            FRAMES.decompress(np.concatenate([packed(), as_array(tail)]), np.zeros(5000, np.uint8))


@pytest.mark.parametrize("n_bytes", [4999, 5001, 1])
def test_another_length_than_the_indexs_is_refused(n_bytes):
    with pytest.raises(CodecError, match="declares 5,000"):
        FRAMES.decompress(packed(), np.zeros(n_bytes, np.uint8))


def test_every_cut_is_refused():
    frame = packed()
    for length in range(len(frame)):
        with pytest.raises(CodecError):
            FRAMES.decompress(frame[:length], np.zeros(5000, np.uint8))


def test_a_block_of_no_known_kind_is_refused():
    frame = packed()
    frame[zstandard.frame_header_size(frame.data)] |= 0b110
    with pytest.raises(CodecError):
        FRAMES.decompress(frame, np.zeros(5000, np.uint8))


def test_a_frame_with_a_checksum_is_read():
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN.data)
    out = np.zeros(5000, np.uint8)
    FRAMES.decompress(as_array(frame), out)
    np.testing.assert_array_equal(out, PLAIN)
