"""URLs: what is read out of them, what is refused, and that no password is ever shown."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.distributed_tier.address import Endpoint, parse, redacted

# Made up, and put together so that no password in an address stands here.
SECRET = "s3cr@t:%2F"
WITH_SECRET = f"valkeys://al%40ice:{SECRET}" + "@cache.example:7000/0"


@pytest.mark.parametrize(
    ("url", "endpoints", "tls", "cluster"),
    [
        ("valkey://cache:7000", [Endpoint("cache", 7000)], False, False),
        ("redis://10.0.0.1", [Endpoint("10.0.0.1", 6379)], False, False),
        ("rediss://cache/0", [Endpoint("cache", 6379)], True, False),
        ("valkey://[::1]:7000", [Endpoint("::1", 7000)], False, False),
        ("valkey+unix:///run/v.sock", [Endpoint("", 0, "/run/v.sock")], False, False),
        ("valkey+cluster://a:1,b:2", [Endpoint("a", 1), Endpoint("b", 2)], False, True),
        ("valkeys+cluster://a:1", [Endpoint("a", 1)], True, True),
    ],
)
def test_a_url_says_where_and_how(url, endpoints, tls, cluster):
    found = parse(url)
    assert (list(found.endpoints), found.tls, found.cluster) == (endpoints, tls, cluster)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "valkey://",
        "valkey://a:0",
        "valkey://a:65536",
        "valkey://a:x",
        "valkey://a,b",
        "valkey://a/3",
        "valkey+unix://run",
        "valkeys+unix:///run",
        "valkey://a b",
        "valkey+cluster://a:1,,b:2",
    ],
)
def test_what_is_no_address_is_refused_with_the_fix(url):
    with pytest.raises(UsageError, match=r"give|only|must"):
        parse(url)


def test_user_and_password_are_read_and_never_shown():
    url = "valkey://al%40ice:" + "p%3Aw" + "@cache"
    found = parse(url)
    assert (found.username, found.password) == ("al@ice", "p:w")
    assert "p:w" not in repr(found)
    assert redacted(url) == "valkey://al%40ice:***@cache"


def test_a_refusal_does_not_tell_the_password_either():
    with pytest.raises(UsageError) as told:
        parse(WITH_SECRET)  # an unescaped @ in the password
    assert SECRET not in str(told.value)
    assert "s3cr" not in str(told.value)


def test_an_endpoint_reads_as_one_writes_it():
    assert str(Endpoint("a", 1)) == "a:1"
    assert str(Endpoint("::1", 1)) == "[::1]:1"
    assert str(Endpoint("", 0, "/s")) == "unix:/s"
