"""Sealing: the cipher and what it runs on, and the key of a store that really is sealed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.model import key_of
from workbench.runs.doctor import sealing
from workbench.runs.doctor.finding import look
from workbench.tiering.encryption import MasterKey, StoreSealing
from workbench.tiering.encryption.key_source import VARIABLE
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig

CONFIG = SsdTierConfig(8 << 20, 1 << 20, flush_every_s=None)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(sealing.MASK, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store's folder with a sealed one in it; its key lies beside."""
    seal = StoreSealing(MasterKey.create(tmp_path / "key"))
    folder = tmp_path / "store" / "kv"
    folder.parent.mkdir()
    with SsdTier.open(folder, CONFIG, sealing=seal) as tier:
        assert tier.put(key_of(0), b"value", Attributes(tenant=seal.tenant("").tag))
    return folder.parent


def test_the_cipher_is_really_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sealing.aes_gb_s() > 0
    assert sealing.cipher().status in ("ok", "warn")


@pytest.mark.parametrize(("gb_s", "status"), [(3.9, "ok"), (0.2, "warn")])
def test_aes_without_the_cpu_s_help_warns(gb_s: float, status: str) -> None:
    found = sealing.cipher(lambda: gb_s)
    assert (found.status, f"{gb_s} GB/s" in found.found) == (status, True)


def test_a_mask_that_hides_the_instructions_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sealing.MASK, "~0x200000200000000")
    assert sealing.cipher(lambda: 0.2).fix == "unset OPENSSL_ia32cap"
    assert sealing.cipher(lambda: 3.9).status == "ok"


def test_a_package_that_cannot_be_loaded_fails_with_the_fix() -> None:
    def gone() -> float:
        raise ModuleNotFoundError("gone", name="cryptography")

    found = look({"sealing": lambda: sealing.cipher(gone)})["sealing"]
    assert (found.status, found.found) == ("fail", "cryptography cannot be imported")
    assert found.fix == "make setup"


def test_nothing_sealed_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"a user's own file")
    assert sealing.key(tmp_path).found == "nothing is sealed in the store, and no key is named"
    assert sealing.key(tmp_path / "not there").status == "ok"


def test_a_sealed_folder_without_a_named_key_warns(store: Path) -> None:
    found = sealing.key(store)
    assert (found.status, "kv; no key is named" in found.found) == ("warn", True)
    assert "WORKBENCH_KEY_FILE" in found.fix


def test_the_right_key_is_told_by_its_id(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = store.parent / "key"
    monkeypatch.setenv(VARIABLE, str(key))
    found = sealing.key(store)
    assert found.status == "ok"
    assert key.read_text().strip() not in found.found
    # Also where the folder itself is named.
    assert sealing.key(store / "kv").status == "ok"


@pytest.mark.parametrize(
    ("spoil", "says", "fix"),
    [
        (lambda key: key.unlink(), "no such key file", "workbench key new"),
        (lambda key: key.chmod(0o644), "others may use it (mode 0644)", "chmod 600"),
        (lambda key: key.write_bytes(b"short"), "holds 5 bytes, which are no key", "64 hex digits"),
        (lambda key: (key.unlink(), key.mkdir()), "is no plain file", "name a file"),
    ],
    ids=["missing", "readable by others", "short", "a folder"],
)
def test_a_key_that_cannot_be_used_fails_with_the_fix(
    store: Path, monkeypatch: pytest.MonkeyPatch, spoil: object, says: str, fix: str
) -> None:
    monkeypatch.setenv(VARIABLE, str(store.parent / "key"))
    assert callable(spoil)
    spoil(store.parent / "key")
    found = sealing.key(store)
    assert found.status == "fail"
    assert says in found.found
    assert fix in found.fix


def test_another_store_s_key_fails(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = MasterKey.create(store.parent / "other")
    monkeypatch.setenv(VARIABLE, str(store.parent / "other"))
    found = sealing.key(store)
    assert (found.status, other.id.hex() in found.found) == ("fail", True)
    assert sealing.sealed_by(store / "kv").hex() in found.found


def test_a_damaged_table_of_keys_fails(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(store.parent / "key"))
    table = store / "kv" / "keys"
    table.write_bytes(bytes(table.stat().st_size))
    found = sealing.key(store)
    assert (found.status, "both copies" in found.found) == ("fail", True)
    assert "restore it from a copy" in found.fix
