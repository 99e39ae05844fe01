"""`workbench store`: says what a folder holds; finds what is damaged."""

from __future__ import annotations

import json

import pytest

from tests.torture.model import key_of, value_of
from workbench.tiering.encryption import MasterKey, StoreSealing
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

CONFIG = SsdTierConfig(8 << 20, 1 << 20, flush_every_s=None)
N_BLOCKS = 6


def fill(folder, sealing=None):
    with SsdTier.open(folder, CONFIG, sealing=sealing) as tier:
        for number in range(N_BLOCKS):
            assert tier.put(key_of(number), value_of(number, 1, 9000))
    return str(folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    return fill(tmp_path / "store")


def test_what_a_folder_holds_is_shown(workbench, folder):
    answer = workbench("store", "show", folder)
    assert answer.code == 0
    rows = dict(line.split() for line in answer.out.splitlines())
    assert rows["blocks"] == rows["blocks_unread"] == "6"
    assert rows["live_bytes"] == f"{N_BLOCKS * 16384:,}"
    shown = json.loads(workbench("store", "show", folder, "--json").out)
    assert shown["blocks"] == N_BLOCKS
    assert shown["segments"] == int(rows["segments"])


def test_a_sound_store_is_called_sound(workbench, folder):
    answer = workbench("store", "check", folder)
    assert (answer.code, answer.out) == (0, "6 of 6 blocks are sound\n")
    assert answer.err.splitlines()[-1] == "blocks 6/6"


def test_a_damaged_block_is_said_as_long_as_it_lies_there(workbench, folder, tmp_path):
    damaged = next(
        path
        for path in sorted((tmp_path / "store").glob("segment-*"))
        if value_of(3, 1, 9000) in path.read_bytes()
    )
    raw = bytearray(damaged.read_bytes())
    raw[raw.index(value_of(3, 1, 9000)) + 100] ^= 1
    damaged.write_bytes(raw)
    answer = workbench("store", "check", folder)
    assert answer.code == 3
    assert answer.out.splitlines() == [
        "1 of 6 blocks could not be loaded: each is a miss",
        "5 of 6 blocks are sound",
    ]
    again = workbench("store", "check", folder, "--json")
    assert again.code == 3
    assert (json.loads(again.out)["blocks"], json.loads(again.out)["bad"]) == (6, 1)


def test_a_sealed_folder_needs_its_key(workbench, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    sealed = fill(tmp_path / "sealed", StoreSealing(MasterKey.create(tmp_path / "key")))
    refused = workbench("store", "check", sealed)
    assert refused.code != 0
    assert "the store is sealed: give the key" in refused.err
    answer = workbench("store", "check", sealed, "--key-file", str(tmp_path / "key"))
    assert (answer.code, answer.out) == (0, "6 of 6 blocks are sound\n")


def test_a_folder_in_use_is_left_alone(workbench, folder, tmp_path):
    with SsdTier.open(tmp_path / "store", CONFIG):
        answer = workbench("store", "check", folder)
    assert answer.code != 0
    assert "in use by pid" in answer.err


def test_a_folder_without_a_store_is_refused(workbench, tmp_path):
    answer = workbench("store", "show", str(tmp_path))
    assert answer.code == 2
    assert "there is no store" in answer.err
