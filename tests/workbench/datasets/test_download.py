"""Downloads: a cut line costs what is missing, a wrong or silent server is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from workbench.datasets import download as module
from workbench.datasets.download import Remote, download, new_session, shown_url
from workbench.datasets.progress import Progress
from workbench.errors import DataError

CONTENT = random.Random(0).randbytes(3_000_000)


class Counting(Progress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def advance(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes


def remote(server, n_bytes: int = len(CONTENT)) -> Remote:
    server.files = {"/file": CONTENT}
    return Remote("toy", f"{server.url}/file", n_bytes, None)


def fetch(wanted: Remote, part: Path) -> int:
    progress = Counting()
    with new_session() as session:
        download(wanted, part, session, progress)
    return progress.n_bytes


def test_a_whole_file_arrives_in_one_request(server, tmp_path: Path) -> None:
    assert fetch(remote(server), tmp_path / "part") == len(CONTENT)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [("/file", None)]


def test_a_cut_line_is_taken_up_where_it_broke(server, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 500_000]
    assert fetch(remote(server), tmp_path / "part") == len(CONTENT)
    assert (tmp_path / "part").read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=")[:-1]) for _, asked in server.asked if asked]
    assert len(starts) == 2
    assert 0 < starts[0] <= 1_000_000 < starts[1] <= 1_500_000


def test_bytes_of_an_earlier_process_are_kept(server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:2_999_990])
    assert fetch(remote(server), tmp_path / "part") == 10
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [("/file", "bytes=2999990-")]


def test_a_part_that_is_whole_already_is_left_alone(server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT)
    assert fetch(remote(server), tmp_path / "part") == 0
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_again(server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    fetch(remote(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_from_the_start(server, tmp_path: Path) -> None:
    server.knows_ranges = False
    (tmp_path / "part").write_bytes(CONTENT[:1_000])
    assert fetch(remote(server), tmp_path / "part") == len(CONTENT) - 1_000
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_server_that_never_says_the_length_is_fine(server, tmp_path: Path) -> None:
    server.says_length = False
    fetch(remote(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    fetch(remote(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_file_that_is_too_long_is_refused_and_not_kept(server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 2,000,000 bytes"):
        fetch(remote(server, 2_000_000), tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_refusal_is_final_and_names_the_status(server, tmp_path: Path) -> None:
    server.statuses = [403]
    with pytest.raises(DataError, match="HTTP status 403"):
        fetch(remote(server), tmp_path / "part")
    assert len(server.asked) == 1


def test_silence_ends_after_five_fruitless_tries_and_keeps_what_came(
    server, tmp_path: Path
) -> None:
    server.cuts = [1_000_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"5 tries: .*\n.*goes on after"):
        fetch(remote(server), tmp_path / "part")
    kept = (tmp_path / "part").read_bytes()
    assert kept
    assert kept == CONTENT[: len(kept)]
    assert len(server.asked) == 6


def test_nobody_at_the_address_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9.*Connection refused"):
        fetch(Remote("toy", "http://127.0.0.1:9/file", 1, None), tmp_path / "part")


def test_a_file_address_is_copied(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(CONTENT)
    wanted = Remote("toy", (tmp_path / "a b").as_uri(), len(CONTENT), None)
    assert fetch(wanted, tmp_path / "part") == len(CONTENT)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_session_carries_the_users_certificate_and_proxy() -> None:
    with new_session("bundle.pem", "http://127.0.0.1:1") as session:
        assert session.verify == "bundle.pem"
        assert session.proxies["https"] == "http://127.0.0.1:1"


def test_addresses_are_shown_without_secrets() -> None:
    assert shown_url("http://ann:pw@host:81/a/b?token=x") == "http://host:81/a/b"


def test_tries_are_bounded() -> None:
    assert 1 < module.MOST_FRUITLESS_TRIES < 10
