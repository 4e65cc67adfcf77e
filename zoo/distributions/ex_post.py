"""Ex-post priors: densities r(z) in the place of a trained model's p(z) (Ghosh et al. 2020).

Their weights are fitted to the codes of training images by `zoo.training.ex_post`, and no update of
a model moves them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.mixture import GaussianMixture

from zoo.distributions import density_models
from zoo.distributions.code_distributions import Posterior, log_standard_normal
from zoo.distributions.priors import Mixture, PriorHead


class FullMixture(Mixture):
    """`r(z) = sum_k pi_k N(z; mu_k, L_k L_k')`.

    Args:
        mean: `[K, D]`.
        scale: L_k, lower triangles `[K, D, D]`.
        log_weights: log pi_k `[K]`.
        whiten: the inverses of L_k, `[K, D, D]`: exports cannot solve for them.
        log_det: log|det whiten| `[K]`.
    """

    def __init__(self, mean: Any, scale: Any, log_weights: Any, whiten: Any, log_det: Any):
        super().__init__(mean, scale, log_weights)
        self.whiten, self.log_det = whiten, log_det

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The arguments of the constructor."""
        return *super().parameters, self.whiten, self.log_det

    def _log_components(self, z: tf.Tensor) -> tf.Tensor:
        centred = z[..., None, :, None] - self.mean[:, :, None]  # [N, K, D, 1]
        white = tf.squeeze(tf.matmul(self.whiten, centred), axis=-1)
        return log_standard_normal(white) + self.log_det

    def _place(self, component: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        moved = tf.linalg.matvec(tf.gather(self.stddev, component), normals)
        return tf.gather(self.mean, component) + moved


class ExPostHead(PriorHead):
    """Base of the ex-post priors, which are N(0, I) before they are fitted."""

    ex_post = True

    def _weight(self, name: str, shape: tuple[int, ...], value: Any = "zeros") -> Any:
        return self.add_weight(name=name, shape=shape, initializer=value, trainable=False)


class DiagonalMixture50(ExPostHead):
    """A Gaussian mixture of 50 components with diagonal covariances."""

    components = 50  # chosen
    fitted = density_models.DiagonalMixture

    def __init__(self, latent_size: int, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(latent_size, image_shape, **kwargs)
        shape = (self.components, latent_size)
        self.mean, self.stddev = self._weight("mean", shape), self._weight("stddev", shape, "ones")
        self.log_weights = self._weight("log_weights", shape[:1])
        self.log_weights.assign(np.full(self.components, -np.log(self.components)))

    def take(self, mixture: GaussianMixture) -> None:
        """The parameters of one that is fitted."""
        self.mean.assign(mixture.means_)
        self.stddev.assign(np.sqrt(mixture.covariances_))
        self.log_weights.assign(np.log(mixture.weights_))

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> Mixture:
        """r(z)."""
        return Mixture(self.mean.value, self.stddev.value, self.log_weights.value)


class FullMixture10(ExPostHead):
    """A Gaussian mixture of 10 components with full covariances (Ghosh et al. 2020)."""

    components = 10
    fitted = density_models.FullMixture

    def __init__(self, latent_size: int, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(latent_size, image_shape, **kwargs)
        count, shape = self.components, (self.components, latent_size, latent_size)
        self.mean = self._weight("mean", shape[:2])
        self.scale, self.whiten = self._weight("scale", shape), self._weight("whiten", shape)
        for weight in (self.scale, self.whiten):
            weight.assign(np.broadcast_to(np.eye(latent_size), shape))
        self.log_weights = self._weight("log_weights", (count,))
        self.log_weights.assign(np.full(count, -np.log(count)))
        self.log_det = self._weight("log_det", (count,))

    def take(self, mixture: GaussianMixture) -> None:
        """The parameters of one that is fitted."""
        scale = np.linalg.cholesky(mixture.covariances_)
        diagonal = np.diagonal(scale, axis1=1, axis2=2)
        self.mean.assign(mixture.means_)
        self.scale.assign(scale)
        self.whiten.assign(np.linalg.inv(scale))
        self.log_det.assign(-np.log(diagonal).sum(axis=1))
        self.log_weights.assign(np.log(mixture.weights_))

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> FullMixture:
        """r(z)."""
        parts = (self.mean, self.scale, self.log_weights, self.whiten, self.log_det)
        return FullMixture(*(part.value for part in parts))
