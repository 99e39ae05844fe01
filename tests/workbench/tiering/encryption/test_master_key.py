"""Keys as files hold them; what is no key is refused, and nothing shows one."""

import pytest

from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.key_source import find_master_key
from workbench.tiering.encryption.master_key import MasterKey

RAW = bytes(range(7, 39))


@pytest.mark.parametrize(
    "raw",
    [RAW, RAW.hex().encode(), RAW.hex().upper().encode() + b"\n", b"  " + RAW.hex().encode()],
)
def test_raw_bytes_and_hex_digits_are_the_same_key(raw):
    assert MasterKey.parse(raw, "here").id == MasterKey.parse(RAW, "here").id


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW[:31],
        RAW + b"x",
        RAW.hex().encode()[:62],
        RAW.hex().encode() + b"00",
        b"z" * 64,
        b"\xff" * 64,
        bytes(32),
        b"00" * 32,
        b"password\n",
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(raw):
    with pytest.raises(
        MasterKeyError, match=r"key\.hex: holds \d+ bytes, .*workbench key new"
    ) as e:
        MasterKey.parse(raw, "key.hex")
    assert not raw or raw.decode("latin-1").strip() not in str(e.value)


def test_a_new_key_is_in_its_file(tmp_path):
    made = MasterKey.create(tmp_path / "key")
    assert find_master_key(tmp_path / "key").id == made.id
    assert MasterKey.create(tmp_path / "other").id != made.id


def test_the_id_and_the_repr_say_nothing_of_the_key():
    master = MasterKey.parse(RAW, "here")
    assert repr(master) == f"<master key {master.id.hex()}>"
    assert master.id not in RAW
    assert master.wrapping_key().reveal() != RAW
