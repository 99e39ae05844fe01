"""Continue a text token by token, as they come.

Follows: greedy or sampled decoding (sampler.py); the end of a turn ends the text.
Leaves out: prompts as text (tokenizer) and beam search.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from workbench.inference.sampler import Sampler, Sampling
from workbench.tiering.unified_tier.session import Session


@dataclass(slots=True)
class GenerationTimes:
    """When things happened in one generation.

    Attributes
    ----------
    prompt_tokens, resumed_tokens : int   of the prompt; of these found in the cache
    ttft_s : float                        from the call to the first token
    token_s : list of float               of each further token
    """

    prompt_tokens: int = 0
    resumed_tokens: int = 0
    ttft_s: float = 0.0
    token_s: list[float] = field(default_factory=list)

    @property
    def prefill_tokens_s(self) -> float:
        """Return prompt tokens computed a second, the first token's choice included."""
        return (self.prompt_tokens - self.resumed_tokens) / self.ttft_s if self.ttft_s else 0.0

    @property
    def decode_tokens_s(self) -> float:
        """Return tokens generated a second behind the first."""
        total = sum(self.token_s)
        return len(self.token_s) / total if total else 0.0


def generate(
    session: Session,
    prompt_ids: Sequence[int],
    n_tokens: int,
    *,
    sampling: Sampling | None = None,
    end_ids: Collection[int] = (),
    times: GenerationTimes | None = None,
) -> Iterator[int]:
    """Yield up to ``n_tokens`` ids that continue a text.

    Parameters
    ----------
    session : Session          what came before the prompt, if anything
    prompt_ids : sequence      at least one token
    n_tokens : int             the most to be generated
    sampling : Sampling        how to choose; None: the best token always
    end_ids : collection       ids behind which nothing follows; the one met is yielded
    times : GenerationTimes    filled in along the way

    Raises
    ------
    As `Session.feed`, and LogitsError.

    The last token is yielded, but not computed: pass it on with what follows it.
    """
    times = times if times is not None else GenerationTimes()
    sampler = Sampler(sampling or Sampling())
    fed: Sequence[int] = prompt_ids
    begin = time.perf_counter()
    for number in range(n_tokens):
        token_id = sampler.next(session.feed(fed))
        end = time.perf_counter()
        if number == 0:
            times.prompt_tokens, times.ttft_s = len(prompt_ids), end - begin
            times.resumed_tokens = session.resumed_tokens
        else:
            times.token_s.append(end - begin)
        yield token_id
        if token_id in end_ids:
            return
        fed, begin = [token_id], time.perf_counter()
