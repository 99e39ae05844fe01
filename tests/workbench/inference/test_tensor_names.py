"""expected_shapes(): every tensor of a model, as another writer lists them."""

import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.inference.architecture import llama_config
from workbench.inference.tensor_names import expected_shapes, layer_names, output_name
from workbench.tiering.mmap_gguf import read_header


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("biases", [True, False])
def test_the_shapes_are_those_of_a_whole_model(tmp_path, tied, biases):
    model = Model(tied=tied, biases=biases, layers=3)
    config = llama_config(read_header(model.file().write(tmp_path / "m.gguf")))
    written = {name: shape for name, (shape, _) in model.all_tensors().items()}
    assert expected_shapes(config) == written
    assert output_name(config) == ("token_embd.weight" if tied else "output.weight")


def test_a_layers_names_carry_its_number():
    names = layer_names(17)
    assert names.query == "blk.17.attn_q.weight"
    assert names.attention_output == "blk.17.attn_output.weight"
    assert names.feed_forward_norm == "blk.17.ffn_norm.weight"
    assert (names.gate, names.up, names.down) == (
        "blk.17.ffn_gate.weight",
        "blk.17.ffn_up.weight",
        "blk.17.ffn_down.weight",
    )
    assert (names.query_bias, names.key_bias, names.value_bias) == (
        "blk.17.attn_q.bias",
        "blk.17.attn_k.bias",
        "blk.17.attn_v.bias",
    )
