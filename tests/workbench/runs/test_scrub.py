"""Scrubbing: folders and names go, whatever surrounds them; everything else stays."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from workbench import paths
from workbench.runs.scrub import Scrubber, scrubber

FOLDERS = {"/srv/site": ".", "/var/alexandra": "~", "/srv/site/.venv/lib": "site-packages"}
SCRUBBER = Scrubber(FOLDERS, {"alexandra": "user", "build-host-7": "host", "root": "user"})


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("File /srv/site/kernels/copy.py:12", "File kernels/copy.py:12"),
        ("\x1b[32m/srv/site/a.py\x1b[39m:3", "\x1b[32ma.py\x1b[39m:3"),
        ("cwd=/srv/site", "cwd=."),
        ("ends at /srv/site.", "ends at .."),
        ("/srv/site2/a and /srv/site-old", "/srv/site2/a and /srv/site-old"),
        ("/srv/site/.venv/lib/x.py", "site-packages/x.py"),
        ("'/var/alexandra/x'", "'~/x'"),
        ("/mnt/var/alexandra/x", "/mnt/var/user/x"),
        ("by alexandra@build-host-7, alexandras", "by user@host, alexandras"),
        ("\x1b[1malexandra\x1b[0m", "\x1b[1muser\x1b[0m"),
        ("the square root of ./x/y", "the square root of ./x/y"),
    ],
)
def test_text(text, clean):
    assert SCRUBBER.text(text) == clean


def test_values_are_scrubbed_at_every_depth_and_keep_their_types():
    value = {"/srv/site/a": ["alexandra", 1, None, {"b": ("/srv/site",)}], "c": True}
    assert SCRUBBER.value(value) == {"a": ["user", 1, None, {"b": ["."]}], "c": True}


def test_this_process_is_described_completely(monkeypatch, runs_folder, data_folder):
    monkeypatch.setenv("LOGNAME", "canaryuser")
    monkeypatch.setattr(platform, "node", lambda: "canaryhost.example.org")
    found = scrubber()
    text = f"{paths.root()}/a {Path.home()}/b {runs_folder}/c {data_folder}/d"
    assert found.text(text) == "a ~/b papermill_runs/c data/d"
    assert found.text("canaryuser canaryhost canaryhost.example.org") == "user host host"


def test_an_account_without_a_name_is_no_obstacle(monkeypatch):
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert scrubber().text("anybody") == "anybody"


def test_the_top_folder_is_never_replaced(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert scrubber().text("/etc/hosts") == "/etc/hosts"
