"""The sums are XXH3's own, and every bit counts."""

from workbench.tiering.ssd_tier.checksum import header_sum, payload_sum


def test_sums_are_the_published_ones() -> None:
    # XXH3 of the empty input, seed 0, from the algorithm's own test vectors.
    assert payload_sum(b"").hex() == "99aa06d3014798d86001c324468d497f"
    assert header_sum(b"") == 0x2D06800538D394C2


def test_any_view_of_the_same_bytes_has_the_same_sum() -> None:
    raw = bytes(range(256)) * 40
    assert (
        payload_sum(raw) == payload_sum(memoryview(bytearray(raw))) == payload_sum(bytearray(raw))
    )


def test_every_bit_counts() -> None:
    raw = bytearray(range(64))
    sums = {payload_sum(raw)}
    for bit in range(512):
        raw[bit // 8] ^= 1 << bit % 8
        sums.add(payload_sum(raw))
        raw[bit // 8] ^= 1 << bit % 8
    assert len(sums) == 513
