"""The two passes and the cache's sequence keep what the protocols promise."""

import inspect

from workbench.inference.exact_forward import ExactForward
from workbench.inference.forward import Forward, KVSequence
from workbench.inference.integer_forward import IntegerForward
from workbench.tiering.tiered_kv_cache import CachedSequence, SelectiveSequence


def members(protocol):
    return {name for name in vars(protocol) if not name.startswith("_")}


def test_every_promised_method_is_there_with_its_parameters():
    for protocol, kinds in (
        (Forward, (ExactForward, IntegerForward)),
        (KVSequence, (CachedSequence, SelectiveSequence)),
    ):
        for kind in kinds:
            for name in members(protocol):
                promised, kept = getattr(protocol, name), getattr(kind, name)
                if not isinstance(promised, property):
                    wanted = [*inspect.signature(promised).parameters]
                    here = inspect.signature(kept).parameters
                    assert [*here][: len(wanted)] == wanted
                    # What a kind takes beyond that may be left out.
                    more = [*here.values()][len(wanted) :]
                    assert all(one.default is not inspect.Parameter.empty for one in more)
