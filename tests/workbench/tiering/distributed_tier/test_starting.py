"""Starts that must fail, each with its own error, and those that must not."""

import ssl

import pytest
from valkey import Valkey

from tests.network.certificates import Authority
from tests.network.fault_proxy import FaultProxy
from tests.network.scripted_server import ScriptedServer
from tests.network.tiers import free_ports, key, patient, read, server, stored, until, value
from workbench.errors import UsageError
from workbench.tiering.distributed_tier import (
    AccessDeniedError,
    CertificateError,
    NetworkTier,
    UnreachableError,
    WrongPasswordError,
)

GOOD, BAD = "correct horse", "battery staple"


@pytest.fixture(scope="module")
def running():
    with server() as one, Valkey(port=one.port) as client:
        rights = ("on", f">{GOOD}", "resetkeys", "~kv:*", "-@all")
        client.execute_command("ACL", "SETUSER", "full", *rights, "+get", "+set", "+del", "+exists")
        client.execute_command("ACL", "SETUSER", "reader", *rights, "+get", "+exists")
        client.execute_command(
            "ACL", "SETUSER", "default", "reset", "on", f">{GOOD}", "~*", "+@all"
        )
        yield one


@pytest.fixture
def password_file(tmp_path):
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(GOOD)
    return file


def test_a_user_with_four_commands_on_the_prefix_is_enough(running, password_file):
    config = patient(running.url, username="full", password_file=password_file)
    with NetworkTier.open(config, required=True) as tier:
        stored(tier, 1)
        assert read(tier, 1) == value(1)
        assert tier.contains_many([key(1), key(2)]) == [True, False]


def test_a_wrong_or_missing_password_is_refused(running, password_file):
    password_file.write_text(BAD)
    for settings in ({"password_file": password_file}, {}, {"username": "nobody"}):
        with pytest.raises(WrongPasswordError) as told:
            NetworkTier.open(patient(running.url, **settings))
        assert BAD not in str(told.value)


def test_a_password_for_a_server_that_has_none_is_refused(password_file):
    with server() as one, pytest.raises(WrongPasswordError):
        NetworkTier.open(patient(one.url, password_file=password_file))


@pytest.mark.parametrize(
    ("user", "namespace", "said"), [("reader", "kv", "set"), ("full", "other", "other:")]
)
def test_a_denied_command_or_prefix_is_refused_and_named(
    running, password_file, user, namespace, said
):
    config = patient(
        running.url, username=user, password_file=password_file, namespace=namespace
    )  # fmt: skip
    with pytest.raises(AccessDeniedError, match=said):
        NetworkTier.open(config)


def test_a_server_that_is_not_there_is_waited_for_unless_it_is_required():
    (port,) = free_ports(1)
    config = patient(f"valkey://127.0.0.1:{port}", probe_every_s=0.1)
    with pytest.raises(UnreachableError, match="required"):
        NetworkTier.open(config, required=True)
    with NetworkTier.open(config) as tier:
        assert tier.health == "degraded"
        assert "refused" in tier.stats().reason.lower()
        assert read(tier, 1) is None
        assert not tier.put(key(1), b"x")
        with server(port=port):
            assert tier.wait_for_health(20.0)
            stored(tier, 1)
            assert read(tier, 1) == value(1)
    tier.stats().check()


def test_a_loading_server_is_waited_for():
    said = [b"-LOADING wait\r\n"]
    with ScriptedServer(lambda words: said[0]) as scripted:
        config = patient(scripted.url, probe_every_s=0.1)
        with pytest.raises(UnreachableError, match="wait"):
            NetworkTier.open(config, required=True)
        with NetworkTier.open(config) as tier:
            assert tier.health == "degraded"
            said[0] = b"$-1\r\n"
            assert until(lambda: tier.health == "ok")


# TLS: a terminating proxy before a real server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def plain():
    with server() as one:
        yield one


def tls_server(pair, client_authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority.file)
    return context


def through(proxy, **settings):
    return patient(f"valkeys://127.0.0.1:{proxy.port}", **settings)


def test_a_trusted_certificate_is_enough(authority, plain):
    with FaultProxy(plain.port, tls_server(authority.sign("good"))) as proxy:
        config = through(proxy, ca_file=authority.file)
        with NetworkTier.open(config, required=True) as tier:
            stored(tier, 1, 2, 3, n_bytes=300_000)
            assert [read(tier, number) for number in (1, 2, 3)] == [
                value(number, 300_000) for number in (1, 2, 3)
            ]
            # The same connections serve all of them, though tickets came in between.
            assert tier.stats().counts.connections_dropped <= 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stranger", "CERTIFICATE_VERIFY_FAILED"),
        ("expired", "CERTIFICATE_VERIFY_FAILED"),
        ("elsewhere", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_no_other_certificate_is_trusted(authority, plain, tmp_path, name, said, required):
    pair = {
        "stranger": lambda: Authority(tmp_path, "stranger").sign("stranger"),
        "expired": lambda: authority.sign("expired", age_days=3),
        "elsewhere": lambda: authority.sign("elsewhere", host="cache.example"),
    }[name]()
    with FaultProxy(plain.port, tls_server(pair)) as proxy:
        config = through(proxy, ca_file=authority.file)
        with pytest.raises(CertificateError, match=said):
            NetworkTier.open(config, required=required)


def test_the_system_s_authorities_do_not_vouch_for_ours(authority, plain):
    with (
        FaultProxy(plain.port, tls_server(authority.sign("unknown"))) as proxy,
        pytest.raises(CertificateError),
    ):
        NetworkTier.open(through(proxy))


def test_a_server_that_asks_who_we_are_is_told_or_refuses(authority, plain, tmp_path):
    context = tls_server(authority.sign("asking"), client_authority=authority)
    ours = authority.sign("ours", host="client.example")
    foreign = Authority(tmp_path, "foreign").sign("foreign")
    with FaultProxy(plain.port, context) as proxy:
        config = through(
            proxy, ca_file=authority.file, cert_file=ours.cert, key_file=ours.key
        )  # fmt: skip
        with NetworkTier.open(config, required=True) as tier:
            assert tier.health == "ok"
        with pytest.raises(CertificateError):
            NetworkTier.open(through(proxy, ca_file=authority.file))
        with pytest.raises(CertificateError):
            NetworkTier.open(
                through(proxy, ca_file=authority.file, cert_file=foreign.cert, key_file=foreign.key)
            )


def test_a_plaintext_server_gets_no_plaintext_when_tls_was_asked_for(plain, authority):
    with ScriptedServer(lambda words: b"-ERR no\r\n") as spy:
        port = spy.url.rpartition(":")[2]
        with pytest.raises((CertificateError, UnreachableError)):
            NetworkTier.open(
                patient(f"valkeys://127.0.0.1:{port}", ca_file=authority.file, start_timeout_s=0.5),
                required=True,
            )
        assert spy.commands == []
    with pytest.raises((CertificateError, UnreachableError)):
        NetworkTier.open(
            patient(
                f"valkeys://127.0.0.1:{plain.port}", ca_file=authority.file, start_timeout_s=0.5
            ),
            required=True,
        )


def test_files_that_are_no_certificates_are_named(authority, tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.touch(0o600)
    nonsense.write_text("nothing")
    with pytest.raises(UsageError, match="ca_file"):
        NetworkTier.open(patient("valkeys://127.0.0.1:1", ca_file=nonsense))
    one, two = authority.sign("one"), authority.sign("two")
    config = patient(
        "valkeys://127.0.0.1:1", ca_file=authority.file, cert_file=one.cert, key_file=two.key
    )
    with pytest.raises(UsageError, match="no pair"):
        NetworkTier.open(config)
