"""Samplers go round the file in order; a group holds every round, block and fio run."""

import os

import numpy as np
import pytest

from workbench.benchmark.storage import storage_sampling
from workbench.benchmark.storage.storage_media import open_media
from workbench.benchmark.storage.storage_sampling import Bench, FioCeiling, Sampler, measure_group
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.buffers import aligned_buffer, huge_buffer, split

MIB = 1 << 20
BLOCK = 64 << 10


@pytest.fixture
def media(disk_folder):
    with open_media(disk_folder, MIB, seed=0) as pair:
        yield pair


def blocks(n: int = 2) -> list[memoryview]:
    buffer = aligned_buffer(n * BLOCK)
    for i, block in enumerate(split(buffer, BLOCK)):
        block[:] = bytes([i + 1]) * BLOCK
    return split(buffer, BLOCK)


def test_samples_continue_where_the_last_one_ended_and_wrap(media):
    sampler = Sampler(media[0], "read", blocks(), 6, MIB)
    offsets = [[request.offset // BLOCK for request in sampler._batch()] for _ in range(3)]
    assert offsets == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 0, 1]]


@pytest.mark.parametrize("bare", [False, True])
def test_writes_lay_down_their_buffers_in_turn(media, bare):
    device = media[0]
    sampler = Sampler(device, "write", blocks(), 3, MIB)
    assert (sampler.run_raw() if bare else sampler.run()) > 0
    assert sampler.work == 3 * BLOCK
    content = device.path.read_bytes()
    assert [content[i * BLOCK] for i in range(3)] == [1, 2, 1]


def test_latencies_are_of_every_block_but_the_warm_up(media):
    sampler = Sampler(media[1], "read", blocks(), 4, MIB)
    seconds = [sampler.run() for _ in range(3)]
    took_us = sampler.took_us()
    assert took_us.shape == (8,)
    assert 0 < took_us.sum() <= sum(seconds[1:]) * 1e6


def test_page_cache_writes_are_clean_after_the_sample(media):
    cache = media[1]
    Sampler(cache, "write", blocks(), 4, MIB).run()
    # Clean pages can be dropped without another flush.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(cache.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert residency.resident_frac(cache.fileno()) == 0


def bench(media, ceiling, rounds=10, huge=True):
    payload = aligned_buffer(2 * BLOCK)
    return Bench(
        *media,
        payload,
        huge_buffer(2 * BLOCK) if huge else None,
        MIB,
        512 << 10,
        rounds,
        ceiling,
    )


@pytest.mark.parametrize("op", ["read", "write"])
def test_a_group_without_fio_holds_its_bare_loops(media, op):
    group = measure_group(bench(media, FioCeiling(30, 0)), op, 64)
    assert (group.op, group.block_kib, group.fio) == (op, 64, {})
    engine = ["device", "page_cache", "device synchronous_huge"]
    assert list(group.samples.seconds) == [*engine, "page_cache raw_loop", "device raw_loop"]
    assert all(seconds.shape == (10,) for seconds in group.samples.seconds.values())
    n_blocks = group.samples.work["device"] / BLOCK
    sizes = {name: took.size for name, took in group.took_us.items()}
    assert sizes == dict.fromkeys(engine, 10 * n_blocks)
    assert np.isfinite(group.samples.ratio("page_cache", "device").median)


@pytest.mark.fio
@pytest.mark.parametrize("fio_rounds", [1, 3])
def test_a_group_with_fio_holds_every_run_of_both_depths(media, fio_rounds):
    group = measure_group(bench(media, FioCeiling(20, fio_rounds), huge=False), "read", 64)
    assert {depth: len(runs) for depth, runs in group.fio.items()} == {
        1: fio_rounds,
        32: fio_rounds,
    }
    assert list(group.samples.seconds) == ["device", "page_cache", "page_cache raw_loop"]


@pytest.mark.parametrize(
    ("rounds", "fio_rounds", "due"),
    [(10, 1, [0]), (10, 2, [0, 10]), (10, 3, [0, 5, 10]), (20, 5, [0, 5, 10, 15, 20])],
)
def test_fio_runs_before_between_and_after(media, rounds, fio_rounds, due):
    ceiling = FioCeiling(20, fio_rounds)
    calls = []
    ceiling.take = lambda path, op, block_kib: calls.append(now) or {}
    on_round = storage_sampling._fio_between(bench(media, ceiling, rounds), "read", 64, {})
    for now in range(rounds + 1):
        on_round(now)
    assert calls == due


def test_a_broken_fio_is_tried_once_and_reported(media, monkeypatch):
    calls = []

    def broken(path, job):
        calls.append(job)
        raise storage_sampling.fio.FioError("out of order")

    monkeypatch.setattr(storage_sampling.fio, "available", lambda: True)
    monkeypatch.setattr(storage_sampling.fio, "run", broken)
    ceiling = FioCeiling(20, 2)
    for _ in range(3):
        assert ceiling.take(media[0].path, "read", 64) == {}
    assert len(calls) == 1
    assert not ceiling.usable
    assert ceiling.notes == [
        "fio was given up, the ceiling is our bare loop from there: out of order"
    ]


def test_a_group_survives_a_fio_that_breaks_in_it(media, monkeypatch):
    def broken(path, job):
        raise storage_sampling.fio.FioError("out of order")

    monkeypatch.setattr(storage_sampling.fio, "available", lambda: True)
    monkeypatch.setattr(storage_sampling.fio, "run", broken)
    group = measure_group(bench(media, FioCeiling(20, 2)), "read", 64)
    assert group.fio == {}
    assert "device raw_loop" in group.samples.seconds


def test_samples_are_capped_in_time_but_never_empty(media, monkeypatch):
    settings = bench(media, FioCeiling(20, 0))
    monkeypatch.setattr(storage_sampling, "_SAMPLE_CAP_S", 0.0)
    assert storage_sampling._calibrate(settings, "read", blocks()) == storage_sampling.MIN_BLOCKS
    monkeypatch.setattr(storage_sampling, "_SAMPLE_CAP_S", 1e9)
    small = blocks(1)[0][:4096]
    assert storage_sampling._calibrate(settings, "read", [small]) == (512 << 10) // 4096
