"""Sessions run side by side: their ids kept apart, their subagents' requests in time."""

import io
import json
import tarfile

import numpy as np
import pytest

from workbench.benchmark.caching import cache_simulation, trace_sessions
from workbench.benchmark.caching.trace_sessions import Sessions, parse
from workbench.errors import DataError


def request(at_s, *ids):
    return {"t": at_s, "type": "n", "in": 64 * len(ids), "out": 5, "hash_ids": list(ids)}


@pytest.fixture
def archive(tmp_path):
    def write(*sessions):
        path = tmp_path / "sessions.tar.xz"
        with tarfile.open(path, "w:xz") as file:
            folder = tarfile.TarInfo("traces")
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
            for number, entries in enumerate(sessions):
                content = entries if isinstance(entries, bytes) else to_json(entries)
                member = tarfile.TarInfo(f"traces/{number}.json")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
        return path

    def to_json(entries):
        return json.dumps({"id": "made up", "requests": entries}).encode()

    return write


def test_ids_of_two_sessions_are_kept_apart(archive):
    path = archive([request(0, 1, 2), request(9, 1, 2, 3)], [request(0, 1, 2)])
    trace = parse(path, Sessions(2, within_s=0, merged_blocks=1), 0)
    assert [blocks.tolist() for blocks in trace] == [[1, 2], [5, 6], [1, 2, 3]]
    assert trace.block_tokens == 64


def test_a_subagents_requests_come_at_their_time(archive):
    subagent = {"t": 10.0, "type": "subagent", "requests": [request(0.5, 7), request(30, 7, 8)]}
    path = archive([request(0, 1), subagent, request(20, 1, 2)])
    trace = parse(path, Sessions(1, merged_blocks=1), 0)
    assert [blocks.tolist() for blocks in trace] == [[1], [7], [1, 2], [7, 8]]
    assert trace.arrival_s.tolist() == [0, 10.5, 20, 40]


def test_merged_blocks_are_known_by_their_last_and_only_full_ones_count(archive):
    path = archive([request(0, 1, 2, 3, 4, 5), request(1, 1, 2, 3, 9), request(2, 1)])
    trace = parse(path, Sessions(1, merged_blocks=2), 0)
    assert [blocks.tolist() for blocks in trace] == [[2, 4], [2, 9], []]
    assert trace.block_tokens == 128


def test_sessions_start_at_random_moments_that_the_seed_decides(archive):
    path = archive(*[[request(0, 1)]] * 20)
    of_seed = [parse(path, Sessions(20, within_s=100), seed).arrival_s for seed in (1, 1, 2)]
    assert np.array_equal(of_seed[0], of_seed[1])
    assert not np.array_equal(of_seed[0], of_seed[2])
    assert 20 < of_seed[0][-1] < 100


def test_only_the_sessions_asked_for_are_read(archive):
    path = archive([request(0, 1)], [request(0, 1)], b"no session")
    assert len(parse(path, Sessions(2), 0)) == 2


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"requests": [{"t": 1}]}', b'{"requests": [{"t": "x"}]}']
)
def test_what_is_no_session_is_named(archive, content):
    path = archive([request(0, 1)], content)
    with pytest.raises(DataError, match=r"sessions\.tar\.xz, session 2: cannot be read"):
        parse(path, Sessions(5), 0)


def test_an_archive_cut_short_is_named(archive):
    path = archive([request(0, *range(1000))])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        parse(path, Sessions(5), 0)


def test_real_sessions_reuse_what_is_known_of_them():
    trace = trace_sessions.read(Sessions(12, merged_blocks=1), seed=0)
    assert trace.block_tokens == 64
    # Counted session by session with other code; of all 355 sessions it is 96.39 %.
    assert cache_simulation.reachable_hit_rate(trace) == pytest.approx(0.958539, abs=1e-6)
