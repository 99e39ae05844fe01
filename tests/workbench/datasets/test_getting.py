"""Getting a data set end to end: cut lines, wrong bytes, several fetchers, archives."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench import datasets
from workbench.datasets.archive import contents_sha256
from workbench.errors import DataError

from .conftest import facts, files_manifest
from .test_archive import make_tar, make_zip
from .test_incoming import Listening

CONTENT = random.Random(1).randbytes(2_000_000)
UseManifest = Callable[[str], None]


def left_behind(data: Path) -> list[str]:
    return [
        path.name
        for path in data.rglob("*")
        if path.is_file() and path.suffix not in {".lock", ".json"}
    ]


def test_a_cut_line_resumes_in_the_next_process(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT}
    server.cuts = [1_000_000, 0, 0, 0, 0, 0]
    with pytest.raises(DataError, match="run the same command again"):
        datasets.get("toy")
    assert not (data / "toys/one.bin").exists()
    kept = next((data / ".incoming").glob("*.part")).stat().st_size
    server.asked.clear()
    (path,) = datasets.get("toy")
    assert path.read_bytes() == CONTENT
    assert server.asked == [("/one.bin", f"bytes={kept}-")]
    assert left_behind(data) == ["one.bin"]


def test_wrong_bytes_are_refused_and_nothing_is_left(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": b"x" + CONTENT[1:]}
    with pytest.raises(DataError) as refused:
        datasets.get("toy")
    for part in ("toys/one.bin", hashlib.sha256(CONTENT).hexdigest(), "2,000,000 bytes", "fix:"):
        assert part in str(refused.value)
    assert left_behind(data) == []


def test_kept_bytes_of_another_file_cost_one_more_download(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT}
    (data / ".incoming").mkdir(parents=True)
    part = data / ".incoming" / f"{hashlib.sha256(CONTENT).hexdigest()[:16]}.part"
    part.write_bytes(b"stale")
    (path,) = datasets.get("toy")
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=5-", None]


def test_a_short_answer_that_ends_cleanly_is_refused(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT[:-1]}
    with pytest.raises(DataError, match="got 1,999,999 bytes"):
        datasets.get("toy")
    assert left_behind(data) == []


def test_what_is_here_is_not_asked_for_again(server, use_manifest: UseManifest) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT}
    datasets.get("toy")
    datasets.get("toy")
    datasets.get("toy", verify=True)
    assert len(server.asked) == 1


def test_a_file_put_there_by_hand_is_checked_once(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    (data / "toys").mkdir(parents=True)
    (data / "toys/one.bin").write_bytes(CONTENT)
    datasets.get("toy")
    assert server.asked == []
    assert (data / ".verified/toy.json").exists()


def test_a_damaged_file_is_announced_and_replaced(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT}
    (path,) = datasets.get("toy")
    stat = path.stat()
    path.write_bytes(b"x" + CONTENT[1:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # rot: neither size nor date tell
    listening = Listening()
    datasets.get("toy", progress=listening)
    assert path.read_bytes() != CONTENT
    datasets.get("toy", verify=True, progress=listening)
    assert path.read_bytes() == CONTENT
    assert "not what the manifest names" in listening.said[0]


def test_eight_fetchers_download_once(server, use_manifest: UseManifest) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    server.files = {"/one.bin": CONTENT}
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(datasets.get, ["toy"] * 8))
    assert {paths[0].read_bytes() for paths in got} == {CONTENT}
    assert len(server.asked) == 1


def test_a_killed_fetcher_leaves_no_lock_and_its_bytes_are_used(
    server, use_manifest: UseManifest, data: Path, tmp_path: Path
) -> None:
    server.files = {"/one.bin": CONTENT}
    text = files_manifest(server.url, one=CONTENT)
    (tmp_path / "m.toml").write_text(text)
    server.cuts = [1_000_000]
    script = (
        "import os, sys; from pathlib import Path; from workbench import datasets\n"
        "from workbench.datasets import download, manifest\n"
        "manifest.manifest_path = lambda: Path(sys.argv[1])\n"
        "download.time.sleep = lambda s: os.kill(os.getpid(), 9)\n"  # dies when the line is cut
        "datasets.get('toy')"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "m.toml")], check=False)
    assert killed.returncode == -9
    use_manifest(text)
    assert datasets.get("toy")[0].read_bytes() == CONTENT
    assert server.asked[1][1] is not None


def archive_manifest(url: str, archive_format: str, archive: bytes, file: str) -> str:
    return (
        '[toy]\nabout = "toy"\nlicence = "MIT"\n[toy.source]\nkind = "archive"\n'
        f'url = "{url}/archive"\nformat = "{archive_format}"\n{facts(archive)}\n'
        f"[[toy.files]]\n{file}\n"
    )


def test_a_member_of_an_archive(
    server, use_manifest: UseManifest, data: Path, tmp_path: Path
) -> None:
    archive = make_zip(tmp_path / "a.zip", {"top/one": b"one", "two": b"two"}).read_bytes()
    server.files = {"/archive": archive}
    file = f'path = "text/one.txt"\nmember = "top/one"\n{facts(b"one")}'
    use_manifest(archive_manifest(server.url, "zip", archive, file))
    (path,) = datasets.get("toy")
    assert path.read_bytes() == b"one"
    assert left_behind(data) == ["one.txt"]


def test_members_packed_again_from_an_archive_of_unknown_bytes(
    server, use_manifest: UseManifest, data: Path, tmp_path: Path
) -> None:
    members = {f"repo/x_0{n}.json": f"[{n}]".encode() for n in range(1, 5)}
    server.files = {"/archive": make_tar(tmp_path / "a.tar.gz", members).read_bytes()}
    chosen = make_tar(tmp_path / "b", {"x_01.json": b"[1]", "x_03.json": b"[3]"}, "w:xz")
    file = (
        f'path = "toy.tar.xz"\n{facts(b"the mirror packed it otherwise")}\n[toy.files.pack]\n'
        f'member = "repo/x_{{}}.json"\nnumbers = "1 3"\ndigits = 2\nbytes = 6\n'
        f'sha256 = "{contents_sha256(chosen, 6)}"'
    )
    text = archive_manifest(server.url, "tar.gz", b"x" * 10_000, file)
    use_manifest("\n".join(line for n, line in enumerate(text.splitlines()) if n != 8))
    (path,) = datasets.get("toy")
    assert contents_sha256(path, 6) == contents_sha256(chosen, 6)
    assert left_behind(data) == ["toy.tar.xz"]
    assert datasets.state(datasets.find("toy")) == "present"
    assert [verdict for _, verdict in datasets.verify(datasets.find("toy"))] == ["ok"]


def test_a_data_folder_that_cannot_be_written_is_a_data_error(
    server, use_manifest: UseManifest, data: Path
) -> None:
    use_manifest(files_manifest(server.url, one=CONTENT))
    data.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="make the data folder writable"):
        datasets.get("toy")
