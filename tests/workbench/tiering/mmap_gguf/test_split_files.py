"""open_parts(): one file or all of a split model's, agreeing with each other, or a refusal."""

import os

import pytest

from tests.workbench.tiering.gguf_files import GGUFFile, scalar, tensor
from tests.workbench.tiering.gguf_models import KINDS, Model, split_pairs, write_parts
from workbench.tiering.mmap_gguf import GGUFError
from workbench.tiering.mmap_gguf.split_files import close_parts, open_parts

N_TENSORS = len(Model().all_tensors())


def refused(path, reason) -> GGUFError:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(GGUFError, match=reason) as caught:
        open_parts(path)
    assert len(os.listdir("/dev/fd")) == before, "a refusal left a file open"
    return caught.value


def test_a_whole_file_is_one_part_whatever_its_name(tmp_path):
    for name in ("m.gguf", "m-00001-of-00003.gguf"):
        parts = open_parts(Model().file().write(tmp_path / name))
        assert [len(part.header.tensors) for part in parts] == [N_TENSORS]
        close_parts(parts)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_all_parts_of_a_model_are_opened(tmp_path, count):
    parts = open_parts(write_parts(tmp_path, Model().parts(count)))
    assert len(parts) == count
    assert [t.part for p in parts for t in p.header.tensors] == sorted(
        t.part for p in parts for t in p.header.tensors
    )
    names = [tensor.name for part in parts for tensor in part.header.tensors]
    assert names == list(Model().all_tensors())
    close_parts(parts)


def test_a_later_file_names_the_first(tmp_path):
    write_parts(tmp_path, Model().parts(3))
    later = tmp_path / "m-00002-of-00003.gguf"
    refused(later, "this is file 2 of 3; open m-00001-of-00003.gguf")


def test_a_missing_part_is_named(tmp_path):
    path = write_parts(tmp_path, Model().parts(3))
    (tmp_path / "m-00003-of-00003.gguf").unlink()
    refused(path, r"m-00003-of-00003.gguf: byte 0: cannot be opened: No such file")


@pytest.mark.parametrize("name", ["m.gguf", "m-00001-of-3.gguf", "m-1-of-00003.gguf"])
def test_a_name_that_is_no_parts_is_refused(tmp_path, name):
    refused(Model().parts(3)[0].write(tmp_path / name), "NAME-00001-of-00003.gguf")


@pytest.mark.parametrize("name", ["m-00001-of-00004.gguf", "m-00002-of-00003.gguf"])
def test_a_name_that_says_another_number_is_refused(tmp_path, name):
    refused(Model().parts(3)[0].write(tmp_path / name), "would be called m-00001-of-00003.gguf")


def changed_first(pairs: list[bytes]) -> list[GGUFFile]:
    files = Model().parts(2)
    files[0].pairs[-3:] = pairs
    return files


NO, COUNT, TOTAL = split_pairs(0, 2, N_TENSORS)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([NO, scalar("split.count", "u16", 0), TOTAL], r"split.count = 0 is outside 1\.\.64"),
        ([NO, scalar("split.count", "u16", 65_535), TOTAL], "split.count = 65535 is outside"),
        ([NO, scalar("split.count", "u32", 2), TOTAL], "is u32, expected u16"),
        ([COUNT, TOTAL], "split.no is missing"),
        ([scalar("split.no", "u16", 2), COUNT, TOTAL], r"split.no = 2 is outside 0\.\.1"),
        ([scalar("split.no", "i16", 0), COUNT, TOTAL], "is i16, expected u16"),
        ([NO, COUNT], "split.tensors.count is missing"),
        ([NO, COUNT, scalar("split.tensors.count", "i32", -1)], "is outside"),
        ([NO, COUNT, scalar("split.tensors.count", "i32", 1 << 30)], "is outside"),
        ([NO, COUNT, scalar("split.tensors.count", "u16", 21)], "is u16, expected i32"),
    ],
)
def test_a_first_file_that_makes_no_sense_is_refused(tmp_path, pairs, reason):
    refused(write_parts(tmp_path, changed_first(pairs)), reason)


@pytest.mark.parametrize(
    ("number", "count", "total", "reason"),
    [
        (0, 2, N_TENSORS, r"split.no = 0 is outside 1\.\.1"),
        (1, 3, N_TENSORS, r"split.count = 3 is outside 2\.\.2"),
        (1, 2, N_TENSORS - 1, "split.tensors.count = 19 is outside 20"),
    ],
)
def test_a_part_that_disagrees_is_refused(tmp_path, number, count, total, reason):
    files = Model().parts(2)
    files[1].pairs = split_pairs(number, count, total)
    error = refused(write_parts(tmp_path, files), reason)
    assert "m-00002-of-00002.gguf" in str(error)


def test_a_part_of_another_architecture_is_refused(tmp_path):
    files = Model().parts(2)
    files[1].pairs.append(scalar("general.architecture", "", "qwen2"))
    refused(write_parts(tmp_path, files), "general.architecture differs")


def test_a_tensor_in_two_files_is_refused(tmp_path):
    files = Model().parts(2)
    files[1].tensors[0] = tensor("token_embd.weight", (64,), KINDS["F32"], 0)
    refused(write_parts(tmp_path, files), "'token_embd.weight' is in an earlier file too")


def test_too_many_and_too_few_tensors_are_refused(tmp_path):
    files = Model().parts(2)
    for file, number in zip(files, (0, 1), strict=True):
        file.pairs[-3:] = split_pairs(number, 2, N_TENSORS - 1)
    refused(write_parts(tmp_path, files), "there are 20 tensors; split.tensors.count is 19")
    for file, number in zip(files, (0, 1), strict=True):
        file.pairs[-3:] = split_pairs(number, 2, N_TENSORS + 1)
    refused(write_parts(tmp_path, files), "is 21, the 2 files hold 20")


def test_a_hostile_later_part_is_refused_like_any_file(tmp_path):
    path = write_parts(tmp_path, Model().parts(2))
    os.truncate(tmp_path / "m-00002-of-00002.gguf", 700)
    refused(path, "m-00002-of-00002.gguf: byte")


def test_the_parts_headers_share_one_limit(tmp_path):
    files = Model().parts(3)
    for file in files:
        file.pairs += [scalar(f"k{i}", "", "x" * (1 << 20)) for i in range(3)]
    refused(write_parts(tmp_path, files), "the header's values pass 8 MiB")
