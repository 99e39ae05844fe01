"""The choice: by hand, on slow and fast devices, at floors, refusals."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.compression.choice import CodecRates, choose, load_seconds

NONE = CodecRates("none", 1.0, float("inf"), 0.0)
LOSSLESS = CodecRates("lossless", 1.2, 1.5, 0.0)
INT8 = CodecRates("int8", 2.0, 8.0, 0.0001)
INT4 = CodecRates("int4", 3.5, 1.0, 0.003)
ALL = (NONE, LOSSLESS, INT8, INT4)


def test_seconds_by_hand():
    assert load_seconds(NONE, 2e9, 2.0) == pytest.approx(1.0)
    # Read in 0.5 s, decoded in 0.25 s of which an eighth is not hidden.
    assert load_seconds(INT8, 2e9, 2.0) == pytest.approx(0.5 + 0.25 / 8)
    assert load_seconds(INT4, 1e9, 10.0, n_batches=2) == pytest.approx(1 + 1 / 70)


@pytest.mark.parametrize(
    ("read_gb_s", "kl", "best"),
    [(0.2, 0.01, "int4"), (2.0, 0.01, "int8"), (50.0, 0.01, "none"), (0.2, 0.001, "int8"),
     (0.2, 0.0, "lossless"), (2.0, 0.0, "none")],
)  # fmt: skip
def test_the_device_and_the_floor_decide(read_gb_s, kl, best):
    assert choose(ALL, 1e8, read_gb_s, kl).name == best


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(UsageError, match=r"kl_at_most=0[.]001, the best one has 0[.]003"):
        choose([INT4], 1e8, 1.0, 0.001)
    with pytest.raises(UsageError, match="above 0"):
        choose(ALL, 1e8, 0.0, 0.1)
