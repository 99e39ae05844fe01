"""Do all that opening a model does, and look at every tensor's first and last byte.

Leaves out: computing with it.
"""

from __future__ import annotations

from pathlib import Path

from workbench.inference.architecture import llama_config
from workbench.inference.fingerprint import model_fingerprint
from workbench.inference.rope_factors import rope_factors
from workbench.inference.tokenizer import read_tokenizer
from workbench.tiering.mmap_gguf import open_model
from workbench.tiering.mmap_gguf.layers import group_tensors


def open_everything(path: Path) -> None:
    """Open a file as a model: header, shape, tokenizer, tensors, fingerprint.

    Raises
    ------
    WorkbenchError   if any part of it refuses
    AssertionError   if a tensor's view is not as long as its shape and type say
    """
    with open_model(path) as model:
        config = llama_config(model.header)
        rope_factors(model, config.rope)
        group_tensors(model.header)
        for info in model.header.tensors:
            tensor = model.tensor(info.name)
            assert tensor.packed.nbytes == info.n_bytes
            assert tensor.rows.shape[0] * info.shape[0] % info.ggml_type.block_values == 0
            int(tensor.packed[0]) + int(tensor.packed[-1])
        model_fingerprint(model, config)
        tokenizer = read_tokenizer(model.header)
        tokenizer.decode(tokenizer.encode("abc d\N{SNOWMAN}e"))
