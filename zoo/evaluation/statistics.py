"""What is said of a mean."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp


def standard_error(values: Any) -> float:
    """Of the mean of `values [N]`, taken as independent, N at least 2."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5)


def effective_samples(log_weights: np.ndarray) -> Any:
    """(sum w)^2 / sum w^2 over the last axis: how many of its samples a mean of weights rests
    on."""
    return np.exp(2 * logsumexp(log_weights, axis=-1) - logsumexp(2 * log_weights, axis=-1))


def jackknife(value: float, without: Sequence[float]) -> tuple[float, float]:
    """A statistic less the bias that falls as 1 / n, and the standard error of what is left.

    Args:
        value: of all examples.
        without: `[G]`, of all but one of G equal parts each, in random order, G at least 2.
    """
    left, parts = np.asarray(without, np.float64), len(without)
    corrected = parts * value - (parts - 1) * left.mean()
    error = math.sqrt((parts - 1) / parts * np.square(left - left.mean()).sum())
    return float(corrected), error


@dataclasses.dataclass(frozen=True)
class Line:
    """y = intercept + slope (x - centre), by least squares.

    Attributes:
        spread: standard deviation of y about it.
    """

    slope: float
    intercept: float
    centre: float
    spread: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> Line:
        """Of float64 `[M]` both, M at least 3; level where x does not vary."""
        centre, intercept = float(x.mean()), float(y.mean())
        about = x - centre
        squares = float(about @ about)
        slope = float(about @ (y - intercept)) / squares if squares > 0 else 0.0
        residuals = y - intercept - slope * about
        spread = math.sqrt(float(residuals @ residuals) / (len(x) - 2))
        return cls(slope, intercept, centre, spread)

    def at(self, x: float) -> float:
        """y there."""
        return self.intercept + self.slope * (x - self.centre)
