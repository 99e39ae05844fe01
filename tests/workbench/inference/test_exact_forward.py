"""The exact pass: against float64 on tiny models, against transformers' float32 on a real one."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import (
    ARCHITECTURES,
    cache_for,
    ids,
    reference,
    write_model,
)
from workbench.inference.llama import LlamaModel

TOKENS = ids(40)


@pytest.mark.parametrize("kind", ["F32", "BF16", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_reference_in_float32(architecture, kind, tmp_path):
    path = write_model(tmp_path, architecture, kind, quantized=True)
    with LlamaModel.open(path, exact=True, batch_tokens=16) as model, cache_for(model) as cache:
        rows = [part.copy() for part in model.logits(TOKENS, cache.sequence())]
    expected = reference(path).logits(TOKENS)
    np.testing.assert_allclose(np.concatenate(rows), expected, rtol=1e-4, atol=2e-5)


def test_the_real_models_golden_logits(smollm2, golden, greedy):
    with LlamaModel.open(smollm2, exact=True) as model:
        cache = cache_for(model, hot_bytes=64 << 20)
        for number, prompt in enumerate(greedy):
            logits = model.forward(prompt["prompt_ids"], cache.sequence())
            expected = np.load(golden / f"hf_fp32_logits_p{number}.npy")
            assert abs(logits - expected).max() < 1e-2  # asked for
            assert abs(logits - expected).max() < 1e-3  # reached: 5e-5
        cache.close()
