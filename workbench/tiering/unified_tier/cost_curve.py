"""Learn what something costs from what it cost lately: a sum of two parts, fitted.

Follows: least squares over the last observations, each weighed by its size; no part below nothing.
Leaves out: what the two parts are (load_or_recompute.py).
"""

from __future__ import annotations

from collections import deque

import numpy as np

_REMEMBERED = 32


class CostCurve:
    """Seconds as ``a * x + b * y``, with a and b from the last observations. Not thread-safe."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        """Know nothing yet."""
        self._seen: deque[tuple[float, float, float]] = deque(maxlen=remembered)
        self._parts: tuple[float, float] | None = None

    @property
    def is_known(self) -> bool:
        """Return whether anything was observed."""
        return self._parts is not None

    def observe(self, x: float, y: float, seconds: float) -> None:
        """Note what it cost once; nothing is learnt from x of 0."""
        if x > 0 and seconds > 0:
            self._seen.append((x, y, seconds))
            self._parts = self._fit()

    def seconds(self, x: float, y: float) -> float:
        """Return what it would cost.

        Raises
        ------
        ValueError   if nothing was observed
        """
        if self._parts is None:
            raise ValueError("nothing was observed yet; ask is_known first")
        a, b = self._parts
        return a * x + b * y

    def _fit(self) -> tuple[float, float]:
        table = np.array(self._seen)
        # By ratio, not by difference: a small cost is to be met as well as a large one.
        table /= table[:, 2:]
        (a, b), *_ = np.linalg.lstsq(table[:, :2], table[:, 2])
        if a >= 0 and b >= 0:
            return float(a), float(b)
        x_alone = float(1 / table[:, 0].mean())
        y_mean = table[:, 1].mean()
        return (0.0, float(1 / y_mean)) if a < 0 and y_mean > 0 else (x_alone, 0.0)
