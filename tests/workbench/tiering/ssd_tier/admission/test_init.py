"""Every policy answers the one question there is."""

from workbench.tiering.ssd_tier.admission import Admission
from workbench.tiering.ssd_tier.admission.admit_all import AdmitAll
from workbench.tiering.ssd_tier.admission.second_hit import SecondHit
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit


def test_every_policy_gives_a_bool() -> None:
    policies: list[Admission] = [AdmitAll(), SecondHit(), SizeLimit(10)]
    assert [policy.admits(bytes(32), 5) for policy in policies] == [True, False, True]
