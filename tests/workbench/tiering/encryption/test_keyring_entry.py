"""A keyring is used only where it is there, and its store is one that is known to be safe."""

import sys
from types import ModuleType

import pytest

from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.keyring_entry import read_keyring


def with_backend(monkeypatch, module: str, held: dict[tuple[str, str], str]) -> None:
    """Put a keyring in place whose store is of a module."""
    keyring = ModuleType("keyring")
    backend = type("Keyring", (), {"__module__": module})
    keyring.get_keyring = backend
    keyring.get_password = lambda service, user: held.get((service, user))
    monkeypatch.setitem(sys.modules, "keyring", keyring)


def test_without_the_package_the_fix_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MasterKeyError, match="pip install keyring"):
        read_keyring("workbench/me")


@pytest.mark.parametrize("module", ["keyrings.alt.file", "keyring.backends.fail", "keyring"])
def test_a_store_that_may_be_a_plain_file_is_refused(monkeypatch, module):
    with_backend(monkeypatch, module, {("workbench", "me"): "00"})
    with pytest.raises(MasterKeyError, match="mode 0600"):
        read_keyring("workbench/me")


def test_a_known_store_is_asked(monkeypatch):
    held = {("workbench", "me"): "ab" * 32}
    with_backend(monkeypatch, "keyring.backends.SecretService", held)
    assert read_keyring("workbench/me") == b"ab" * 32
    with pytest.raises(MasterKeyError, match="keyring set workbench you"):
        read_keyring("workbench/you")


@pytest.mark.parametrize("entry", ["", "/", "service", "service/", "/user"])
def test_half_a_name_is_refused(entry):
    with pytest.raises(MasterKeyError, match="give both"):
        read_keyring(entry)
