"""A tiny model of several groups of layers, scored without a tokenizer."""

from __future__ import annotations

import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.codecs import codec_quality
from workbench.benchmark.codecs.codec_quality import QualityPlan

LAYERS = 7
PLAN = QualityPlan(1, 64, 32, 0, 0, fast_prefix=True)


def model_of_three_groups(folder, patch: pytest.MonkeyPatch):
    """Return a model's path; what is scored are its own ids."""
    patch.setattr(codec_quality, "text_ids", lambda model, n, text: ids(n))
    return write_model(folder, layers=LAYERS)
