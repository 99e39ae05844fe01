import typing
from types import ModuleType

import pytest

from workbench.report.status import all_statuses, status_of
from workbench.runs import record


def test_every_status_has_a_sign_and_words_of_its_own() -> None:
    shown = all_statuses()
    assert set(shown) == set(typing.get_args(record.Status))
    assert len({status.sign for status in shown.values()}) == len(shown)
    assert len({status.text for status in shown.values()}) == len(shown)


@pytest.mark.parametrize(
    ("status", "verdict", "text"),
    [
        ("ok", True, "Claim holds"),
        ("ok", False, "Finished"),
        ("refuted", True, "Claim refuted"),
        ("undecided", True, "Undecided"),
        ("failed", False, "Failed"),
        ("killed", False, "Killed"),
    ],
)
def test_an_ok_run_with_a_verdict_says_that_the_claim_holds(
    samples: ModuleType, status: str, verdict: bool, text: str
) -> None:
    run = samples.record("r", status=status, verdict=samples.verdict() if verdict else None)
    assert status_of(run).text == text
