"""A Gaussian of full covariance as a density model, and other models in the axes it gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf

from zoo.distributions.density_models import DensityModel

_LEAST_VARIANCE = 1e-8  # along any axis, chosen: codes that do not vary have no density


class Gaussian:
    """`r(z) = N(z; mean, covariance)`, and y, the codes in its principal axes, where it is N(0, I).

    Args:
        mean: `[D]`.
        covariance: `[D, D]`.
    """

    def __init__(self, mean: np.ndarray, covariance: np.ndarray):
        variances, axes = np.linalg.eigh(covariance)
        scales = np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
        self.mean, self.covariance = mean, covariance
        self._to_white = axes / scales
        self.log_volume = float(np.log(scales).sum())  # log |det dz/dy|

    @classmethod
    def fit(cls, z: np.ndarray) -> Gaussian:
        """The moments of codes `[N, D]`, of maximum likelihood."""
        z = np.asarray(z, np.float64)
        return cls(z.mean(axis=0), np.cov(z, rowvar=False, bias=True).reshape(z.shape[1], -1))

    @classmethod
    def shrunk(cls, z: np.ndarray) -> Gaussian:
        """The covariance shrunk towards a multiple of I by as much as few codes ask for (Ledoit &
        Wolf 2004)."""
        fitted = LedoitWolf().fit(np.asarray(z, np.float64))
        return cls(fitted.location_, fitted.covariance_)

    @classmethod
    def of_mixture(cls, mean: np.ndarray, stddev: np.ndarray) -> Gaussian:
        """The moments of 1/N sum_n N(mean_n, diag stddev_n^2) in closed form, `[N, D]` both: less
        noise than those of draws."""
        spread = cls.fit(mean)
        within = np.square(stddev, dtype=np.float64).mean(axis=0)
        return cls(spread.mean, spread.covariance + np.diag(within))

    def diagonal(self) -> Gaussian:
        """The same moments without correlations."""
        return Gaussian(self.mean, np.diag(np.diag(self.covariance)))

    def whiten(self, z: np.ndarray) -> np.ndarray:
        """y `[N, D]` of codes `[N, D]`, float64."""
        return (np.asarray(z, np.float64) - self.mean) @ self._to_white

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """log r(z) `[N]`, float64, nats."""
        y = self.whiten(z)
        constant = self.log_volume + 0.5 * y.shape[1] * math.log(2 * math.pi)
        return -0.5 * np.square(y).sum(axis=1) - constant


class Whitened:
    """`log r(z) = log r_y(y) - log |det dz/dy|`, r_y a model of the codes in a Gaussian's axes.

    What a model finds hard, scales and correlations, the Gaussian has in closed form.

    Args:
        gaussian: gives the axes.
        model: of y.
    """

    def __init__(self, gaussian: Gaussian, model: DensityModel):
        self.gaussian, self.model = gaussian, model

    def log_prob(self, z: np.ndarray) -> Any:
        """log r(z) `[N]`, nats."""
        return self.model.log_prob(self.gaussian.whiten(z)) - self.gaussian.log_volume
