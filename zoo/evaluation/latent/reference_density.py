"""A reference density r(z) of codes: candidates that are fitted to some codes, mixed by others.

r = sum_j w_j r_j is normalised, and the prior is among the r_j: log r(z) - log p(z) never falls
below the log of its weight. The weights are those of most likelihood on codes that no fit saw, so
that a candidate which fits the noise of its own codes gets none; mixing gains over the best single
one wherever each is right somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from zoo.distributions.density_models import (
    DensityModel,
    DiagonalMixture,
    FullMixture,
    Mixture,
)
from zoo.distributions.gaussian_density import Gaussian, Whitened
from zoo.evaluation.gaussians import log_normal
from zoo.progress import progress_bar

PRIOR = "prior"

# All chosen.
_MIXTURES: dict[str, tuple[type[Mixture], bool, tuple[int, ...]]] = {
    # covariances; whether the axes are the codes' own, scaled, or the principal ones; components
    "gmm_diagonal": (DiagonalMixture, False, (10, 30, 100)),
    "gmm_principal": (DiagonalMixture, True, (10, 30)),
    "gmm_full": (FullMixture, True, (5, 10, 20)),
}
_CODES_PER_COMPONENT = 20
_LEAST_VARIANCE = 0.01  # of a component, where the codes have 1 along each axis
MOST_FULL_DIMENSIONS = 200  # of a mixture of full covariances: beyond, each fit is minutes
_EM_STEPS = 200
_PRIOR_SHARE = 0.01  # that the prior has at least


class Stack:
    """`r(z) = sum_j w_j r_j(z)`, the prior among the r_j.

    Args:
        models: the other candidates, by name.
        z: codes `[V, D]` that no fit saw; they choose the weights.
        log_prior: log p of codes `[M, D]`: `[M]`, nats; that of N(0, I) by default.
    """

    def __init__(
        self,
        models: Mapping[str, DensityModel],
        z: np.ndarray,
        log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
    ):
        self._models, self._log_prior = dict(models), log_prior
        log_ratios = self.log_ratios(z)
        weights = mixture_weights(np.stack(list(log_ratios.values())))
        weights *= 1 - _PRIOR_SHARE
        weights[list(log_ratios).index(PRIOR)] += _PRIOR_SHARE
        self.weights = dict(zip(log_ratios, weights.tolist(), strict=True))

    def log_ratios(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """log r_j(z) - log p(z) `[M]` of each candidate at codes `[M, D]`, nats."""
        log_p = self._log_prior(z)
        ratios = {name: model.log_prob(z) - log_p for name, model in self._models.items()}
        return {PRIOR: np.zeros(len(z)), **ratios}

    def log_ratio(self, log_ratios: Mapping[str, np.ndarray]) -> np.ndarray:
        """log r(z) - log p(z) `[M]` from those of the candidates, nats."""
        with np.errstate(divide="ignore"):  # a candidate may have no weight at all
            terms = [np.log(self.weights[name]) + ratio for name, ratio in log_ratios.items()]
        return np.logaddexp.reduce(terms, axis=0)


def mixture_weights(log_densities: np.ndarray, steps: int = _EM_STEPS) -> np.ndarray:
    """Weights `[J]` of fixed densities `[J, V]` at V points, by EM from equal ones; up to a number
    per point the densities may be logs of anything."""
    densities = np.exp(log_densities - log_densities.max(axis=0))
    weights = np.full(len(densities), 1 / len(densities))
    for _ in range(steps):
        joint = weights[:, None] * densities
        weights = (joint / joint.sum(axis=0)).mean(axis=1)
    return weights


def fit_candidates(
    z: np.ndarray, seed: int, moments: Gaussian | None = None, progress: bool = False
) -> dict[str, DensityModel]:
    """Gaussians, and mixtures of as many components as there are codes for.

    Args:
        z: codes to fit, `[N, D]`.
        seed: of first components.
        moments: the Gaussian of the codes' law where it is known better than from `z`.
        progress: show a bar on stderr where it takes longer.
    """
    gaussian = moments or Gaussian.fit(z)
    shrunk = Gaussian.shrunk(z)
    models: dict[str, DensityModel] = {"gaussian": gaussian, "gaussian_shrunk": shrunk}
    # Fewer codes than dimensions have no principal axes of their own; the shrunk ones are whole.
    axes = {True: shrunk, False: shrunk.diagonal()}
    fits = list(_mixtures(*z.shape))
    bar = progress_bar(progress, iterable=fits, desc="reference densities", delay=2)
    for name, kind, principal, components in bar:
        y = axes[principal].whiten(z)
        mixture = kind.fit(y, components, seed, _LEAST_VARIANCE)
        models[f"{name}_{components}"] = Whitened(axes[principal], mixture)
    return models


def _mixtures(n: int, d: int) -> Iterator[tuple[str, type[Mixture], bool, int]]:
    for name, (kind, principal, numbers) in _MIXTURES.items():
        if kind is FullMixture and d > MOST_FULL_DIMENSIONS:
            continue
        for components in numbers:
            if n >= components * _CODES_PER_COMPONENT:
                yield name, kind, principal, components
