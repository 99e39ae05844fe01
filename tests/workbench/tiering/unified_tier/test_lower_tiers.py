"""What lies below memory is opened together, and closed together when one part is refused."""

import contextlib

import pytest

from workbench.tiering.encryption import MasterKey, MasterKeyError
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.unified_tier import UnifiedTier, UnifiedTierConfig
from workbench.tiering.unified_tier.lower_tiers import open_lower
from workbench.tiering.unified_tier.ram_plan import RamPlan


def lower(stack, **settings):
    config = UnifiedTierConfig(**settings)
    return open_lower(config, RamPlan.of(config), stack)


def test_memory_alone_has_nothing_below():
    with contextlib.ExitStack() as stack:
        assert lower(stack, tenant="me") == (None, None, b"me")


def test_a_sealed_folder_s_tenants_have_secrets_of_their_own(tmp_path):
    MasterKey.create(tmp_path / "key")
    key, folder = str(tmp_path / "key"), tmp_path / "store"
    secrets = set()
    for tenant in ("me", "you", "me"):
        with contextlib.ExitStack() as stack:
            found = lower(stack, tenant=tenant, key=key, ssd_folder=folder, ssd_bytes="256 MiB")
            secrets.add(found.tenant)
    assert len(secrets) == 2
    assert b"me" not in secrets


def test_a_refusal_leaves_nothing_open(tmp_path):
    with pytest.raises(MasterKeyError):
        UnifiedTier(UnifiedTierConfig(ssd_folder=tmp_path / "store", key=str(tmp_path / "none")))
    with SsdTier.open(tmp_path / "store", SsdTierConfig(256 << 20)):
        pass
