"""What is said of a mean."""

from __future__ import annotations

from typing import Any

import numpy as np


def standard_error(values: Any) -> float:
    """Of the mean of `values [N]`, taken as independent, N at least 2."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5)
