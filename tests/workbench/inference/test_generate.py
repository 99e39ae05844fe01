"""Generation: a published text, seeds, ends, and times."""

import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from workbench.inference.generate import GenerationTimes, generate
from workbench.inference.llama import LlamaModel
from workbench.inference.sampler import Sampling
from workbench.inference.tokenizer import read_tokenizer
from workbench.tiering.mmap_gguf import read_header
from workbench.tiering.unified_tier.session import Session

# What llama2.c writes at temperature 0.
PUBLISHED = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. "
    'She said, "I want to play with your ball, but I can\'t find it."\n'
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\nLily didn't want to help her mom, so"
)


@pytest.mark.parametrize("exact", [False, True])
def test_stories260k_tells_its_published_story(stories, exact):
    tokenizer = read_tokenizer(read_header(stories))
    with LlamaModel.open(stories, threads=1, exact=exact) as model, cache_for(model) as cache:
        session = Session(model, cache)
        story = tokenizer.decode(generate(session, tokenizer.encode(""), 199))
    assert story == PUBLISHED


@pytest.fixture
def tiny(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model, cache_for(model) as cache:
        yield model, cache


def continued(tiny, n_tokens=20, **options):
    with Session(*tiny) as session:
        return list(generate(session, ids(5), n_tokens, **options))


def test_a_seed_decides_what_is_drawn(tiny):
    draws = [continued(tiny, sampling=Sampling(temperature=2.0, seed=seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    limited = continued(tiny, sampling=Sampling(temperature=2.0, top_k=1))
    assert limited == continued(tiny)


def test_nothing_follows_an_end(tiny):
    whole = continued(tiny)
    end = whole[7]
    cut = continued(tiny, end_ids={end})
    assert cut == whole[: whole.index(end) + 1]


def test_the_last_token_is_not_computed(tiny):
    with Session(*tiny) as session:
        got = list(generate(session, ids(5), 3))
        assert session.token_ids == ids(5) + got[:2]
        more = list(generate(session, [got[2]], 3))
    assert got + more == continued(tiny, 6)


def test_times_are_of_this_generation(tiny):
    times = GenerationTimes()
    assert continued(tiny, 1, times=times)
    assert (times.prompt_tokens, times.resumed_tokens, times.token_s) == (5, 0, [])
    assert times.decode_tokens_s == 0
    assert continued(tiny, 4, times=times)
    assert len(times.token_s) == 3
    assert times.ttft_s > 0
    assert times.decode_tokens_s > 0
    assert times.prefill_tokens_s == pytest.approx(5 / times.ttft_s)
