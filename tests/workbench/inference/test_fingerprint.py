"""The fingerprint: the same for a copy, another for any other model; and what it does not see."""

import os
import shutil
from dataclasses import replace

import pytest

from tests.workbench.tiering.gguf_files import scalar
from tests.workbench.tiering.gguf_models import Model, write_parts
from workbench import paths
from workbench.inference.architecture import llama_config
from workbench.inference.fingerprint import model_fingerprint, weights_sum
from workbench.tiering.mmap_gguf import GGUFError, open_model

MODEL = "data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
# Large enough for bytes that no piece covers.
LARGE = Model(embedding=256, feed_forward=512, kind="F32")


def fingerprint(path, computation: str = "") -> bytes:
    with open_model(path) as model:
        return model_fingerprint(model, llama_config(model.header), computation)


def sums(path) -> tuple[bytes, bytes]:
    with open_model(path) as model:
        return weights_sum(model), weights_sum(model, whole=True)


@pytest.fixture
def path(tmp_path):
    return Model().file().write(tmp_path / "m.gguf")


def test_a_copy_with_another_name_and_date_is_the_same_model(tmp_path, path):
    copy = tmp_path / "elsewhere.gguf"
    shutil.copy(path, copy)
    os.utime(copy, (0, 0))
    assert fingerprint(copy) == fingerprint(path)
    assert len(fingerprint(path)) == 32


@pytest.mark.parametrize(
    "other",
    [
        Model(seed=1),
        Model(kind="Q8_0"),
        Model(layers=3),
        Model(tied=False),
        Model(pairs={"k": scalar("llama.rope.freq_base", "f32", 5e5)}),
        Model(pairs={"k": scalar("llama.rope.scaling.factor", "f32", 2.0)}),
        Model(pairs={"k": scalar("general.name", "", "another")}),
    ],
    ids=lambda model: str(model)[:60],
)
def test_another_model_has_another_fingerprint(tmp_path, path, other):
    assert fingerprint(other.file().write(tmp_path / "other.gguf")) != fingerprint(path)


def test_every_field_of_the_shape_counts(path):
    with open_model(path) as model:
        config = llama_config(model.header)
        changed = [
            replace(config, rms_epsilon=1e-6),
            replace(config, context_tokens=513),
            replace(config, rope=replace(config.rope, pairing="halves")),
        ]
        prints = {model_fingerprint(model, each) for each in (config, *changed)}
    assert len(prints) == 4


def test_the_way_of_computing_counts(path):
    assert fingerprint(path, "int8 activations") != fingerprint(path)


def test_every_byte_of_a_small_model_counts(path):
    with open_model(path) as model:
        offsets = [t.offset + t.n_bytes // 2 for t in model.header.tensors]
        offsets += [t.offset + t.n_bytes - 1 for t in model.header.tensors]
        assert max(t.n_bytes for t in model.header.tensors) < 16 << 10
    seen = {weights_of(path)}
    raw = path.read_bytes()
    for offset in offsets:
        path.write_bytes(raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :])
        seen.add(weights_of(path))
    assert len(seen) == len(offsets) + 1


def weights_of(path) -> bytes:
    return sums(path)[0]


def test_a_byte_between_the_pieces_is_seen_by_the_whole_sum_alone(tmp_path):
    path = LARGE.file().write(tmp_path / "m.gguf")
    with open_model(path) as model:
        info = model.info("blk.1.ffn_up.weight")
    before = sums(path)
    with path.open("r+b") as file:
        file.seek(info.offset + 4096 + 100)
        file.write(b"\xff\xfe")
    after = sums(path)
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_a_split_model_counts_every_file(tmp_path):
    path = write_parts(tmp_path, Model().parts(3))
    before = sums(path)
    last = tmp_path / "m-00003-of-00003.gguf"
    raw = last.read_bytes()
    last.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    after = sums(path)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_cut_file_is_refused(path):
    with open_model(path) as model:
        os.truncate(path, 2000)
        with pytest.raises(GGUFError, match="became shorter"):
            weights_sum(model)


def test_the_development_model_is_told_by_a_fraction_of_its_bytes(monkeypatch):
    with open_model(paths.root() / MODEL) as model:
        counted = 0
        read = type(model.files[0]).read

        def counting(file, offset: int, n_bytes: int) -> bytes:
            nonlocal counted
            counted += n_bytes
            return read(file, offset, n_bytes)

        monkeypatch.setattr(type(model.files[0]), "read", counting)
        assert len(model_fingerprint(model, llama_config(model.header))) == 32
    assert counted < 0.06 * model.header.file_bytes
