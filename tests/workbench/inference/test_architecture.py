"""llama_config(): a model's shape exactly as its file says it, or a refusal that names the key."""

import pytest

from tests.workbench.tiering.gguf_files import array, scalar
from tests.workbench.tiering.gguf_models import Model
from workbench import paths
from workbench.inference.architecture import LlamaConfig, Rope, llama_config
from workbench.tiering.mmap_gguf import GGUFError, read_header

MODEL = "data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
EPSILON = "llama.attention.layer_norm_rms_epsilon"
SCALING, FACTOR = "llama.rope.scaling.type", "llama.rope.scaling.factor"


def config_of(tmp_path, **spec) -> LlamaConfig:
    return llama_config(read_header(Model(**spec).file().write(tmp_path / "m.gguf")))


def pairs(*changes: tuple[str, str, object]) -> dict[str, bytes]:
    return {key: scalar(key, kind, value) for key, kind, value in changes}


def test_a_llama_is_read_exactly(tmp_path):
    config = config_of(tmp_path)
    assert (config.architecture, config.layers, config.embedding) == ("llama", 2, 64)
    assert (config.feed_forward, config.heads, config.kv_heads, config.head_dim) == (96, 4, 2, 16)
    assert (config.vocab_size, config.context_tokens) == (40, 512)
    assert config.rms_epsilon == pytest.approx(1e-5)
    assert config.rope == Rope(10_000.0, 16, 1.0, "", "adjacent")
    assert (config.tied_embeddings, config.qkv_biases) == (True, False)


def test_a_qwen2_has_biases_and_turns_halves(tmp_path):
    config = config_of(tmp_path, architecture="qwen2", biases=True, tied=False)
    assert (config.architecture, config.rope.pairing) == ("qwen2", "halves")
    assert (config.tied_embeddings, config.qkv_biases) == (False, True)


def test_a_llama_may_have_biases(tmp_path):
    assert config_of(tmp_path, biases=True).qkv_biases


def test_the_development_model_is_read():
    config = llama_config(read_header(paths.root() / MODEL))
    assert (config.layers, config.embedding, config.feed_forward) == (30, 576, 1536)
    assert (config.heads, config.kv_heads, config.head_dim) == (9, 3, 64)
    assert (config.vocab_size, config.context_tokens) == (49_152, 8192)
    assert config.rope == Rope(100_000.0, 64, 1.0, "", "adjacent")
    assert config.tied_embeddings


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ([(SCALING, "", "linear"), (FACTOR, "f32", 4.0)], 4.0),
        ([(FACTOR, "f32", 4.0)], 4.0),
        ([("llama.rope.scale_linear", "f32", 2.0)], 2.0),
        ([(FACTOR, "f32", 0.0)], 1.0),
        ([(SCALING, "", "none"), (FACTOR, "f32", 4.0)], 1.0),
        ([], 1.0),
    ],
)
def test_linear_scaling_follows_the_keys(tmp_path, changes, factor):
    assert config_of(tmp_path, pairs=pairs(*changes)).rope.factor == factor


def test_the_factors_of_llama_3_are_named(tmp_path):
    rope = config_of(tmp_path, tensors={"rope_freqs.weight": ((8,), "F32")}).rope
    assert rope.factors_name == "rope_freqs.weight"


def test_a_stated_base_and_width_of_rope_are_taken(tmp_path):
    changes = pairs(("llama.rope.freq_base", "f32", 5e5), ("llama.rope.dimension_count", "u32", 8))
    rope = config_of(tmp_path, pairs=changes).rope
    assert (rope.base, rope.dimensions) == (5e5, 8)


def test_keys_that_ask_for_nothing_are_no_obstacle(tmp_path):
    changes = pairs(
        ("llama.expert_count", "u32", 0),
        ("llama.attention.causal", "bool", True),
        ("llama.logit_scale", "f32", 1.0),
        ("llama.vocab_size", "u32", 40),
    )
    assert config_of(tmp_path, pairs=changes).layers == 2


@pytest.mark.parametrize("name", ["gpt2", "bert", "evil\x1b[31m", "a" * 500])
def test_another_architecture_is_refused_by_name(tmp_path, name):
    with pytest.raises(GGUFError, match="unsupported architecture") as caught:
        config_of(tmp_path, architecture=name)
    assert caught.value.reason.endswith("; supported: llama, qwen2")
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (("llama.context_length", "u32", 0), r"outside 1\.\."),
        (("llama.context_length", "f32", 512.0), "is f32, expected u32"),
        (("llama.feed_forward_length", "u32", 1 << 31), "outside"),
        (("llama.embedding_length", "i32", 64), "is i32"),
        (("llama.vocab_size", "u32", 41), "llama.vocab_size = 41"),
        ((EPSILON, "f32", float("nan")), "nan is outside"),
        ((EPSILON, "f32", 0.0), "outside"),
        ((EPSILON, "f64", 1e-5), "is f64, expected f32"),
        (("llama.rope.freq_base", "f32", float("inf")), "outside"),
        (("llama.rope.freq_base", "f32", 0.5), "outside"),
        (("llama.rope.dimension_count", "u32", 18), "outside"),
        (("llama.rope.dimension_count", "u32", 7), "odd"),
        ((SCALING, "", "yarn"), "'yarn' is not computed here"),
        ((SCALING, "", "longrope"), "'longrope' is not computed here"),
        ((SCALING, "u32", 1), "is u32, expected string"),
        ((FACTOR, "f32", -1.0), "outside"),
        ((FACTOR, "f32", float("nan")), "outside"),
        (("llama.expert_count", "u32", 8), "expert_count = 8"),
        (("llama.attention.causal", "bool", False), "causal = False"),
        (("llama.attention.sliding_window", "u32", 4096), "sliding_window = 4096"),
        (("llama.logit_scale", "f32", 2.0), "logit_scale = 2.0"),
    ],
)
def test_keys_out_of_range_are_refused(tmp_path, changes, reason):
    with pytest.raises(GGUFError, match=reason):
        config_of(tmp_path, pairs=pairs(changes))


@pytest.mark.parametrize(
    "key",
    [
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        EPSILON,
    ],
)
def test_a_missing_key_is_named(tmp_path, key):
    with pytest.raises(GGUFError, match=f"{key} is missing"):
        config_of(tmp_path, pairs={key: b""})


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (array("tokenizer.ggml.tokens", "string", ["a"] * 41), "has 41 tokens"),
        (array("tokenizer.ggml.tokens", "string", ["a"] * 2000), "has 2000 tokens"),
        (array("tokenizer.ggml.tokens", "u32", [1] * 40), "array of u32"),
        (scalar("tokenizer.ggml.tokens", "u32", 40), "is u32"),
    ],
)
def test_a_token_list_of_another_length_is_refused(tmp_path, tokens, reason):
    with pytest.raises(GGUFError, match=reason):
        config_of(tmp_path, pairs={"tokenizer.ggml.tokens": tokens})


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("token_embd.weight", None, "no matrix token_embd"),
        ("token_embd.weight", ((64,), "F32"), "no matrix token_embd"),
        ("token_embd.weight", ((32, 40), "F32"), r"\(32, 40\), expected \(64, 40\)"),
        ("blk.1.attn_k.weight", None, "blk.1.attn_k.weight is missing"),
        ("blk.1.attn_k.weight", ((64, 64), "F32"), r"expected \(64, 32\)"),
        ("blk.0.ffn_up.weight", ((64, 96), "IQ4_NL"), "is IQ4_NL; BF16, F16, F32, Q4_0"),
        ("blk.0.attn_norm.weight", ((64,), "F16"), "is F16; F32 can"),
        ("blk.2.attn_q.weight", ((64, 64), "F32"), "has no part in llama"),
        ("blk.0.attn_output.bias", ((64,), "F32"), "has no part in llama"),
        ("blk.0.attn_q.bias", ((64,), "F32"), "blk.0.attn_k.bias is missing"),
        ("rope_freqs.weight", ((16,), "F32"), r"expected \(8,\)"),
        ("output.weight", ((64, 41), "F32"), r"expected \(64, 40\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, name, tensor, reason):
    with pytest.raises(GGUFError, match=reason):
        config_of(tmp_path, tensors={name: tensor})


def test_a_qwen2_without_biases_is_refused(tmp_path):
    with pytest.raises(GGUFError, match=r"attn_q\.bias is missing"):
        config_of(tmp_path, architecture="qwen2")
