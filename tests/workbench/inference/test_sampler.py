"""Sampler: exact odds, exact limits, ties by id, and the same text from the same seed."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workbench.errors import UsageError
from workbench.inference.sampler import LogitsError, Sampler, Sampling, candidates, ranked

Logits = npt.NDArray[np.float32]
_ODDS = np.array([0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.02])
# Shuffled, so that rank is not id.
_LOGITS = np.log(_ODDS[[3, 0, 6, 1, 5, 2, 4]]).astype(np.float32)
# Upper 0.1 % point of chi-square by degrees of freedom.
_CHI_SQUARE = {1: 10.83, 2: 13.82, 6: 22.46}

finite = st.floats(-30, 30, width=32)
any_logits = arrays.arrays(np.float32, st.integers(1, 600), elements=finite)
# A few values only: many ties.
tied_logits = arrays.arrays(np.float32, st.integers(1, 40), elements=st.sampled_from([0, 1, 2]))


def chi_square(sampling: Sampling, odds: dict[int, float], n_draws: int = 8_000) -> float:
    sampler = Sampler(sampling)
    drawn = np.bincount([sampler.next(_LOGITS) for _ in range(n_draws)], minlength=len(_LOGITS))
    assert set(np.flatnonzero(drawn)) <= set(odds)
    expected = np.array([*odds.values()]) * n_draws
    return float((((drawn[[*odds]] - expected) ** 2) / expected).sum())


@pytest.mark.parametrize(
    ("sampling", "ranks"),
    [
        (Sampling(1.0, seed=1), 7),
        (Sampling(1.0, top_k=3, seed=2), 3),
        (Sampling(1.0, top_p=0.7, seed=3), 3),
        (Sampling(1.0, top_k=2, top_p=0.99, seed=4), 2),
        (Sampling(1.0, top_k=3, top_p=0.7, seed=4), 2),
    ],
)
def test_draws_have_the_odds_of_the_limited_distribution(sampling: Sampling, ranks: int) -> None:
    ids = np.argsort(-_LOGITS)[:ranks].tolist()
    odds = dict(zip(ids, _ODDS[:ranks] / _ODDS[:ranks].sum(), strict=True))
    assert chi_square(sampling, odds) < _CHI_SQUARE[ranks - 1]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_raises_the_odds_to_its_inverse(temperature: float) -> None:
    weights = np.exp(_LOGITS.astype(np.float64)) ** (1 / temperature)
    odds = dict(enumerate(weights / weights.sum()))
    assert chi_square(Sampling(temperature, seed=5), odds) < _CHI_SQUARE[6]


def test_the_measure_tells_wrong_odds_apart() -> None:
    flat = dict.fromkeys(range(7), 1 / 7)
    assert chi_square(Sampling(1.0, seed=1), flat) > 100 * _CHI_SQUARE[6]


@given(any_logits | tied_logits)
def test_the_best_token_is_the_first_of_the_highest(logits: Logits) -> None:
    assert Sampler(Sampling()).next(logits) == logits.tolist().index(logits.max())
    for sampling in (Sampling(1.0, top_k=1), Sampling(1e-3, top_p=1e-9)):
        assert Sampler(sampling).next(logits) == logits.tolist().index(logits.max())


@given(any_logits | tied_logits, st.integers(1, 700))
def test_ranks_are_by_logit_then_by_id(logits: Logits, n_most: int) -> None:
    by_definition = sorted(range(len(logits)), key=lambda token_id: (-logits[token_id], token_id))
    n_most = min(n_most, len(logits))
    assert ranked(logits, n_most).tolist() == by_definition[:n_most]


@given(
    any_logits | tied_logits,
    st.floats(0.05, 5),
    st.integers(0, 50),
    st.floats(0.01, 1),
)
def test_limits_keep_what_the_definition_keeps(
    logits: Logits, temperature: float, top_k: int, top_p: float
) -> None:
    sampling = Sampling(temperature, top_k, top_p)
    ids, probabilities = candidates(logits, sampling)
    order = np.argsort(-logits, kind="stable")[: top_k or len(logits)]
    odds = np.exp((logits[order].astype(np.float64) - logits.max()) / temperature)
    odds /= odds.sum()
    expected = dict(zip(order.tolist(), odds.tolist(), strict=True))
    assert probabilities.sum() == pytest.approx(1)
    assert set(ids.tolist()) == set(order[: len(ids)].tolist())
    held = sum(expected[token_id] for token_id in ids.tolist())
    assert held >= top_p * (1 - 1e-9)
    # One token fewer would hold too little.
    if top_p < 1:
        assert held - expected[int(ids[-1])] < top_p * (1 + 1e-9)
    by_hand = [expected[token_id] / held for token_id in ids.tolist()]
    np.testing.assert_allclose(probabilities, by_hand, rtol=1e-9)


def test_a_flat_distribution_of_a_whole_vocabulary_keeps_exactly_its_share() -> None:
    ids, _ = candidates(np.zeros(49_152, np.float32), Sampling(1.0, top_p=0.5))
    assert ids.tolist() == list(range(24_576))


def test_a_seed_gives_one_text_and_another_seed_another() -> None:
    def text(seed: int, n_draws: int = 0) -> list[int]:
        sampler = Sampler(Sampling(1.0, seed=seed), n_draws)
        return [sampler.next(_LOGITS) for _ in range(50 - n_draws)]

    assert text(7) == text(7)
    assert text(7) != text(8)
    assert text(7, n_draws=20) == text(7)[20:]


def test_a_sampler_goes_on_where_another_stopped() -> None:
    first = Sampler(Sampling(0.9, top_k=5, seed=3))
    for _ in range(13):
        first.next(_LOGITS)
    second = Sampler(first.sampling, first.n_draws)
    assert [first.next(_LOGITS) for _ in range(20)] == [second.next(_LOGITS) for _ in range(20)]


def test_forbidden_tokens_are_never_drawn() -> None:
    logits = np.array([-np.inf, 0, -np.inf, 0], np.float32)
    for sampling in (Sampling(), Sampling(1.0), Sampling(1.0, top_k=3), Sampling(1.0, top_p=0.999)):
        sampler = Sampler(sampling)
        assert {sampler.next(logits) for _ in range(100)} <= {1, 3}


@pytest.mark.parametrize(
    ("value", "temperature"), [*itertools.product([np.nan, np.inf, -np.inf], [0.0, 1.0])]
)
def test_logits_without_a_choice_are_refused(value: float, temperature: float) -> None:
    logits = np.full(5, value, np.float32)
    with pytest.raises(LogitsError, match="the highest of 5 logits is"):
        Sampler(Sampling(temperature)).next(logits)
    with pytest.raises(LogitsError, match="0 logits"):
        Sampler(Sampling(temperature)).next(logits[:0])


def test_one_nan_is_enough_to_refuse() -> None:
    logits = np.array([0, 5, np.nan, 1], np.float32)
    with pytest.raises(LogitsError, match="nan"):
        Sampler(Sampling()).next(logits)


def test_every_setting_out_of_range_is_named() -> None:
    with pytest.raises(UsageError) as refused:
        Sampling(temperature=-1, top_k=-1, top_p=0, seed=-1)
    assert [problem.split(" = ")[0] for problem in refused.value.problems] == [
        "temperature",
        "top_k",
        "top_p",
        "seed",
    ]
    with pytest.raises(UsageError, match="temperature = nan"):
        Sampling(temperature=float("nan"))
