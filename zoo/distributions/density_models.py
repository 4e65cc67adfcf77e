"""Density models r(z) of codes, fitted by maximum likelihood (Rosca et al. 2018, Algorithm 4).

Each has `log_prob(z)`, codes `[N, D]` -> nats `[N]`. The paper names a diagonal Gaussian mixture, a
masked autoregressive flow and a Gaussian autoregressive LSTM; their sizes are chosen [C]. Flow and
LSTM start as N(0, I) exactly.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol, TypeVar

import keras
import numpy as np
import tensorflow as tf
import threadpoolctl
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from tensorflow_probability import distributions as tfd

from zoo.distributions.code_distributions import log_standard_normal
from zoo.distributions.made import MADE
from zoo.errors import UsageError
from zoo.noise import Noise

LOG_STDDEV_LIMIT = 10.0  # chosen, that of the Gaussian posterior
_Mixture = TypeVar("_Mixture", bound="Mixture")


class DensityModel(Protocol):
    """What Algorithm 4 asks of a model."""

    def log_prob(self, z: Any) -> Any:
        """log r(z) of codes `[N, D]`: `[N]`, nats."""


class Mixture:
    """`r(z) = sum_k pi_k N(z; mu_k, S_k)`, by scikit-learn; fitted by EM, not by gradients.

    Args:
        mixture: fitted, of covariances of this type.
    """

    covariance_type: str

    def __init__(self, mixture: GaussianMixture):
        self.mixture = mixture

    @classmethod
    def fit(
        cls: type[_Mixture],
        z: np.ndarray,
        components: int,
        seed: int,
        least_variance: float = 1e-6,
        **em: Any,
    ) -> _Mixture:
        """EM on codes `[N, D]` from k-means, at most 100 iterations unless `em` has other settings
        of scikit-learn's; `least_variance` is added along each dimension of each component.

        Raises:
            UsageError: there are fewer codes than components.
        """
        if len(z) < components:
            raise UsageError(f"{components} components need as many codes: there are {len(z)}")
        mixture = GaussianMixture(
            components,
            covariance_type=cls.covariance_type,
            reg_covar=least_variance,
            random_state=seed,
            **em,
        )
        # The products of EM are small: threads of BLAS would wait for each other most of the time.
        with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
            # Any parameters give a density, and with it a bound; those of the last iteration too.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return cls(mixture.fit(z.astype(np.float64)))

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """log r(z) `[N]`, float64, nats."""
        return self.mixture.score_samples(np.asarray(z, np.float64))


class DiagonalMixture(Mixture):
    """S_k = diag s_k^2."""

    covariance_type = "diag"


class FullMixture(Mixture):
    """S_k of full rank."""

    covariance_type = "full"


class MaskedAutoregressiveFlow(keras.layers.Layer):
    """`log r(z) = log N(u; 0, I) + log|det du/dz|`, u the codes carried through MADE blocks.

    One block is `u_i = (z_i - shift(z_<i)) exp(-log_scale(z_<i))`, in one pass; between blocks the
    order of the dimensions turns round (Papamakarios et al. 2017).

    Args:
        latent_size: D.
        blocks: five (chosen [C]).
        hidden: units of the two hidden layers of each (chosen [C]).
    """

    def __init__(self, latent_size: int, blocks: int = 5, hidden: int = 512):
        super().__init__(dtype="float32")
        self.latent_size = latent_size
        self.nets = [MADE(latent_size, hidden) for _ in range(blocks)]

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the sizes are known beforehand."""
        for net in self.nets:
            net.build()

    def to_base(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """u `[N, D]` and log|det du/dz| `[N]`."""
        # By hand: tfb.MaskedAutoregressiveFlow runs each net twice, for u and for the determinant.
        log_det = 0.0
        for net in self.nets:
            shift, log_scale = net(z)
            z = tf.reverse((z - shift) * tf.exp(-log_scale), axis=[-1])
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return z, log_det

    def from_base(self, u: tf.Tensor) -> tf.Tensor:
        """The codes `[N, D]` that `to_base` carries to u: draws of r where u are standard normals.

        Each of D passes through a block finds one more dimension.
        """
        for net in reversed(self.nets):
            u = _inverted(net, tf.reverse(u, axis=[-1]))
        return u

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log r(z) `[N]`, nats."""
        u, log_det = self.to_base(z)
        return log_standard_normal(u) + log_det

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`, one for each row of the noise."""
        return self.from_base(noise.normal("prior", (self.latent_size,)))


def _inverted(net: MADE, u: tf.Tensor) -> tf.Tensor:
    """z `[N, D]` with `u_i = (z_i - shift(z_<i)) exp(-log_scale(z_<i))`."""

    def step(i: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shift, log_scale = net(z)
        return i + 1, shift + u * tf.exp(log_scale)

    size = u.shape[-1]
    start = tf.constant(0), tf.zeros_like(u)
    return tf.while_loop(lambda i, z: i < size, step, start, maximum_iterations=size)[1]


class AutoregressiveLSTM(keras.layers.Layer):
    """`r(z) = prod_i N(z_i; mu(z_<i), s(z_<i)^2)`, mu and log s by an LSTM over the dimensions.

    Args:
        latent_size: D.
        units: of the LSTM (chosen [C]).
    """

    def __init__(self, latent_size: int, units: int = 256):
        super().__init__(dtype="float32")
        self.latent_size, self.units = latent_size, units
        self.lstm = keras.layers.LSTM(units, return_sequences=True, dtype="float32")
        self.head = keras.layers.Dense(2, kernel_initializer="zeros", dtype="float32")

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the sizes are known beforehand."""
        self.lstm.build((None, self.latent_size, 1))
        self.head.build((None, self.latent_size, self.units))

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log r(z) `[N]`, nats."""
        before = tf.pad(z[:, :-1], [[0, 0], [1, 0]])
        mean, log_stddev = tf.unstack(self.head(self.lstm(before[..., None])), axis=-1)
        log_stddev = tf.clip_by_value(log_stddev, -LOG_STDDEV_LIMIT, LOG_STDDEV_LIMIT)
        return tfd.MultivariateNormalDiag(mean, tf.exp(log_stddev)).log_prob(z)
