"""Sums are XXH3's published ones, so that files stay readable, and see every single bit."""

import random

import numpy as np
import pytest

from workbench.tiering.ssd_tier.checksum import PAYLOAD_SUM_BYTES, header_sum, payload_sum


def test_the_sums_of_nothing_are_the_published_ones():
    assert header_sum(b"") == 0x2D06800538D394C2
    assert payload_sum(b"").hex() == "99aa06d3014798d86001c324468d497f"


def test_a_payload_sum_fits_its_field():
    assert len(payload_sum(b"block")) == PAYLOAD_SUM_BYTES == 16
    assert 0 <= header_sum(b"block") < 1 << 64


@pytest.mark.parametrize("summed", [payload_sum, header_sum])
def test_no_flipped_bit_goes_unseen(summed):
    block = bytearray(random.Random(1).randbytes(512))
    sums = {summed(block)}
    for bit in range(len(block) * 8):
        block[bit // 8] ^= 1 << bit % 8
        sums.add(summed(block))
        block[bit // 8] ^= 1 << bit % 8
    assert len(sums) == 1 + 4096


@pytest.mark.parametrize("summed", [payload_sum, header_sum])
def test_lengths_of_zeros_and_the_order_of_pages_count(summed):
    assert len({summed(bytes(n)) for n in range(300)}) == 300
    one, other = b"a" * 4096, b"b" * 4096
    assert summed(one + other) != summed(other + one)


def test_any_buffer_sums_as_its_bytes():
    raw = random.Random(2).randbytes(8192)
    for buffer in (bytearray(raw), memoryview(raw), np.frombuffer(raw, np.uint8)):
        assert payload_sum(buffer) == payload_sum(raw)
        assert header_sum(buffer) == header_sum(raw)
    assert payload_sum(memoryview(raw)[1000:5000]) == payload_sum(raw[1000:5000])
