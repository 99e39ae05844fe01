"""Looking up embeddings."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import EMBEDDING, reference, write_model
from workbench.errors import UsageError
from workbench.inference.embedding import Embedding
from workbench.tiering.mmap_gguf import open_model


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_rows_are_restored_into_the_first_columns(kind, tmp_path):
    path = write_model(tmp_path, kind=kind, quantized=True)
    with open_model(path) as model:
        embedding = Embedding(model, "token_embd.weight")
        out = np.full((4, EMBEDDING + 32), 7, np.float32)
        embedding.look_up([3, 39, 3], out)
    expected = reference(path).weights["token_embd.weight"][[3, 39, 3]]
    np.testing.assert_allclose(out[:3, :EMBEDDING], expected, rtol=1e-6)
    assert (out[3] == 7).all()
    assert (out[:, EMBEDDING:] == 7).all()


@pytest.mark.parametrize("wrong", [-1, 40])
def test_an_id_outside_the_vocabulary_is_named(wrong, tmp_path):
    with open_model(write_model(tmp_path)) as model:
        embedding = Embedding(model, "token_embd.weight")
        with pytest.raises(UsageError, match=f"token id {wrong} is outside the vocabulary of 40"):
            embedding.look_up([0, wrong], np.zeros((2, EMBEDDING), np.float32))
