"""Text in, text out, with the figures of how it went."""

import pytest

from workbench.errors import DataError, UsageError
from workbench.inference.sampler import Sampling
from workbench.inference.text_generation import TextRequest, generate_text


def test_pieces_make_the_text(stories):
    pieces: list[str] = []
    request = TextRequest(str(stories), "Once upon a time", 30, threads=1)
    result = generate_text(request, pieces.append)
    assert result.text.startswith(", there was a little girl named Lily.")
    assert "".join(pieces) == result.text
    assert len(result.token_ids) == 30
    assert result.figures.prompt_tokens > 3
    assert result.figures.threads == 1
    assert result.figures.decode_tokens_s > 0
    assert result.cache.sequence_position == result.figures.prompt_tokens + 29
    assert result.persisted is None


def test_the_same_seed_writes_the_same_text(stories):
    sampling = Sampling(temperature=1.0, top_k=20, top_p=0.9, seed=5)
    request = TextRequest(str(stories), "Lily", 20, threads=1, sampling=sampling)
    texts = {generate_text(request, lambda piece: None).text for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_tokens": 0}, UsageError, "tokens=0 must be at least 1"),
        ({"model": "no-such.gguf"}, DataError, "no model file at"),
        ({"model": "no-such-model"}, UsageError, "no-such-model"),
        ({"chat": True}, UsageError, "no chat template"),
    ],
)
def test_refusals(stories, changes, error, message):
    wanted = {"model": str(stories), "prompt": "Once", "n_tokens": 3, "threads": 1} | changes
    with pytest.raises(error, match=message):
        generate_text(TextRequest(**wanted), lambda piece: None)
