"""The configuration: all problems at once, and no password anywhere."""

import math

import pytest

from workbench.errors import UsageError
from workbench.tiering.distributed_tier import NetworkTierConfig

URL = "valkey://127.0.0.1:7000"


def test_all_problems_are_named_at_once():
    with pytest.raises(UsageError) as told:
        NetworkTierConfig(
            "ftp://x",
            namespace="a b",
            op_timeout_s=0,
            ttl_s=math.inf,
            chunk_bytes=9 << 20,
            max_block_bytes=0,
            connections=0,
        )
    text = "\n".join(told.value.problems)
    names = ("url", "namespace", "op_timeout_s", "ttl_s", "chunk_bytes", "max_block_bytes")
    assert all(f"{name}=" in text for name in (*names, "connections"))
    assert len(told.value.problems) == 7


@pytest.mark.parametrize("namespace", ["", "{tag}", "a" * 65, "a\n", "ä"])
def test_a_namespace_cannot_change_where_keys_go(namespace):
    with pytest.raises(UsageError, match="namespace"):
        NetworkTierConfig(URL, namespace=namespace)


def test_a_value_and_its_header_stay_within_8_mib():
    NetworkTierConfig(URL, chunk_bytes=(8 << 20) - 256)
    with pytest.raises(UsageError, match="chunk_bytes"):
        NetworkTierConfig(URL, chunk_bytes=(8 << 20) - 255)


def test_a_password_comes_from_a_file_that_others_cannot_read(tmp_path):
    file = tmp_path / "password"
    file.write_text("hush\n")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        NetworkTierConfig(URL, password_file=file)
    file.chmod(0o600)
    config = NetworkTierConfig(URL, username="alice", password_file=file)
    assert config.credentials() == ("alice", "hush")
    file.write_text("newer")
    assert config.credentials() == ("alice", "newer")


def test_a_password_in_the_url_is_used_and_not_shown(tmp_path):
    config = NetworkTierConfig("valkey://alice:" + "hush" + "@127.0.0.1")
    assert config.credentials() == ("alice", "hush")
    assert "hush" not in repr(config) + str(config) + config.shown_url
    file = tmp_path / "password"
    file.touch(0o600)
    with pytest.raises(UsageError, match="password_file") as told:
        NetworkTierConfig("valkey://alice:" + "hush" + "@127.0.0.1", password_file=file)
    assert "hush" not in str(told.value)


def test_files_of_tls_go_with_a_tls_url_and_with_each_other(tmp_path):
    cert = tmp_path / "cert"
    cert.touch(0o600)
    with pytest.raises(UsageError) as told:
        NetworkTierConfig(URL, cert_file=cert, ca_file=tmp_path / "none")
    text = "\n".join(told.value.problems)
    assert "plaintext" in text
    assert "go together" in text
    assert "is no file" in text
    assert str(tmp_path) not in text
