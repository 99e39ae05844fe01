"""Everything is admitted."""

from workbench.tiering.ssd_tier.admission.admit_all import AdmitAll


def test_everything_is_admitted() -> None:
    assert all(AdmitAll().admits(bytes([n]) * 32, n << 20) for n in range(256))
