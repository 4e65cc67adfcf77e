"""Active units: the dimensions of the code that depend on the image."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ActiveUnits:
    """How many dimensions are in use, and how strongly each."""

    count: int
    variances: np.ndarray  # [D], Var_x E[z_i|x]
    threshold: float
    n: int


def active_units(mean: np.ndarray, threshold: float = 0.01) -> ActiveUnits:
    """Counts the dimensions with Var_x E[z_i|x] > threshold (Burda et al. 2016 [C]).

    Args:
        mean: [N, D], E[z|x] of N images.
        threshold: 0.01 [C].

    Raises:
        UsageError: `mean` is not a finite matrix of at least two rows.
    """
    mean = np.asarray(mean)
    if mean.ndim != 2 or len(mean) < 2:
        raise UsageError(f"mean has shape {mean.shape}: expected [N, D] with N at least 2")
    if not np.isfinite(mean).all():
        raise UsageError("mean holds a value that is not finite: expected finite numbers")
    variances = mean.var(axis=0, ddof=1, dtype=np.float64)
    return ActiveUnits(
        count=int((variances > threshold).sum()),
        variances=variances,
        threshold=threshold,
        n=len(mean),
    )
