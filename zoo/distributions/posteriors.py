"""Posteriors: features of the encoder -> q(z|x) (paper.md sections 6 and 8).

A *head* is a Keras layer, the last of the encoder; its method `distribution(features)` gives the
posterior object (`zoo.distributions.code_distributions.Posterior`). The layer on the features is
the paper's 4x4 valid convolution over the last feature map, hence dense without bias, with kernels
from N(0, 0.02) [F:S1]. Heads compute in float32 under any dtype policy: a KL does not survive the
three digits of bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo.distributions.code_distributions import (
    DeterministicPosterior,
    GaussianPosterior,
    ImplicitPosterior,
    Posterior,
    RealNVPPosterior,
    on_sphere,
)
from zoo.distributions.real_nvp import coupling_nets, real_nvp
from zoo.errors import UsageError
from zoo.options import Option

__all__ = [
    "DeterministicHead",
    "GaussianHead",
    "ImplicitHead",
    "PosteriorHead",
    "RealNVPHead",
    "SphereHead",
    "UnitGaussianHead",
]

LOG_STDDEV_LIMIT = 10.0  # chosen [C]; paper.md section 6
IMPLICIT_HIDDEN = 256  # chosen


def _at_least(least: int, **settings: int) -> None:
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UsageError(
                f"{name}={value!r} is not accepted: expected a whole number of at least {least}"
            )


def _dense(units: int, use_bias: bool = False) -> keras.layers.Dense:
    normal = keras.initializers.RandomNormal(stddev=0.02)
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=normal, dtype="float32")


class PosteriorHead(keras.layers.Layer):
    """Base of the heads: features `[N, F]` -> q(z|x), event `[D]`.

    `build((None, F))` creates all weights; calling the layer gives the raw tensor that
    `distribution` starts from.

    Args:
        latent_size: D.
        noise_size: standard normals per example that one draw takes.
        from_features: the layer on the features.

    Attributes:
        explicit: whether q(z|x) has a density.
        options: its settings in `ModelConfig`, arguments of the constructor.

    Raises:
        UsageError: a size is not a whole number in range.
    """

    explicit = False
    options: tuple[Option, ...] = ()

    def __init__(
        self, latent_size: int, noise_size: int, from_features: keras.layers.Dense, **kwargs: Any
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_size, self.noise_size = latent_size, noise_size
        self.from_features = from_features

    def build(self, features_shape: Sequence[int | None]) -> None:
        """Creates all weights; `features_shape` is `(None, F)`."""
        self.from_features.build(features_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """The raw tensor, `[N, units of from_features]`."""
        return self.from_features(features)

    def distribution(self, features: tf.Tensor) -> Posterior:
        """q(z|x) of features `[N, F]`; a distribution of TFP where it has a density."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {**super().get_config(), "latent_size": self.latent_size}


@keras.saving.register_keras_serializable(package="zoo")
class GaussianHead(PosteriorHead):
    """q(z|x) = N(mu, diag s^2), features -> (mu, log s), log s clipped to [-10, 10]."""

    explicit = True

    def __init__(self, latent_size: int, **kwargs: Any):
        _at_least(1, latent_size=latent_size)
        super().__init__(latent_size, latent_size, _dense(2 * latent_size), **kwargs)

    def distribution(self, features: tf.Tensor) -> GaussianPosterior:
        """q(z|x) of features `[N, F]`."""
        mean, log_stddev = tf.split(tf.cast(self(features), tf.float32), 2, axis=-1)
        log_stddev = tf.clip_by_value(log_stddev, -LOG_STDDEV_LIMIT, LOG_STDDEV_LIMIT)
        return GaussianPosterior(loc=mean, scale_diag=tf.exp(log_stddev))


@keras.saving.register_keras_serializable(package="zoo")
class RealNVPHead(GaussianHead):
    """A Gaussian carried through affine couplings; starts as the Gaussian itself.

    Args:
        latent_size: D, at least 2: a coupling needs two halves.
        couplings: number of couplings (chosen).
        hidden: units of the two hidden layers of each coupling net (chosen).
        flow_context: whether the couplings see the features too. Without it (chosen) the aggregate
            posterior inverts each z once; with it, once per pair of z and x.

    Raises:
        UsageError: a size is out of range.
    """

    options = (
        Option("flow_context", False, "Feed the encoder's features to the couplings of the flow."),
    )

    def __init__(
        self,
        latent_size: int,
        couplings: int = 8,
        hidden: int = 256,
        flow_context: bool = False,
        **kwargs: Any,
    ):
        _at_least(2, latent_size=latent_size)
        _at_least(1, couplings=couplings, hidden=hidden)
        super().__init__(latent_size, **kwargs)
        self.couplings, self.hidden, self.flow_context = couplings, hidden, flow_context
        self.nets = coupling_nets(latent_size, couplings, hidden, flow_context)
        if flow_context:
            # One projection for all couplings: each on its own would cost F * hidden weights.
            self.project = _dense(hidden)

    def build(self, features_shape: Sequence[int | None]) -> None:
        """Creates all weights; `features_shape` is `(None, F)`."""
        super().build(features_shape)
        for net in self.nets:
            net.build()
        if self.flow_context:
            self.project.build(features_shape)

    def distribution(self, features: tf.Tensor) -> RealNVPPosterior:
        """q(z|x) of features `[N, F]`."""
        context = self.project(features) if self.flow_context else None
        flow = real_nvp(self.nets, context)
        return RealNVPPosterior(distribution=self.base(features), bijector=flow)

    def base(self, features: tf.Tensor) -> GaussianPosterior:
        """The law of u, which the flow carries to z."""
        return super().distribution(features)

    def to_base(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Inverts the flow once for all x: log q(z_m|x_n) = log N(u_m; mu_n, s_n) + log_det_m.

        Args:
            z: codes `[M, D]`.

        Returns:
            u `[M, D]` and log|det du/dz| `[M]`.

        Raises:
            UsageError: the flow depends on x.
        """
        if self.flow_context:
            raise UsageError(
                "flow_context=True makes the flow depend on x: to_base needs flow_context=False"
            )
        flow = real_nvp(self.nets, context=None)
        return flow.inverse(z), flow.inverse_log_det_jacobian(z, event_ndims=1)

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        own = {
            "couplings": self.couplings,
            "hidden": self.hidden,
            "flow_context": self.flow_context,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="zoo")
class UnitGaussianHead(PosteriorHead):
    """q(z|x) = N(F(x), I): only the mean is learned."""

    explicit = True

    def __init__(self, latent_size: int, **kwargs: Any):
        _at_least(1, latent_size=latent_size)
        super().__init__(latent_size, latent_size, _dense(latent_size), **kwargs)

    def distribution(self, features: tf.Tensor) -> GaussianPosterior:
        """q(z|x) of features `[N, F]`."""
        mean = tf.cast(self(features), tf.float32)
        return GaussianPosterior(loc=mean, scale_diag=tf.ones_like(mean))


@keras.saving.register_keras_serializable(package="zoo")
class DeterministicHead(PosteriorHead):
    """z = E(x): all mass on one code."""

    def __init__(self, latent_size: int, **kwargs: Any):
        _at_least(1, latent_size=latent_size)
        super().__init__(latent_size, 0, _dense(latent_size), **kwargs)

    def distribution(self, features: tf.Tensor) -> DeterministicPosterior:
        """q(z|x) of features `[N, F]`."""
        return DeterministicPosterior(tf.cast(self(features), tf.float32))


@keras.saving.register_keras_serializable(package="zoo")
class SphereHead(DeterministicHead):
    """z = sqrt(D) E(x) / ||E(x)||: all mass on one code of the sphere about which p(z) lies."""

    def distribution(self, features: tf.Tensor) -> DeterministicPosterior:
        """q(z|x) of features `[N, F]`."""
        return DeterministicPosterior(on_sphere(tf.cast(self(features), tf.float32)))


@keras.saving.register_keras_serializable(package="zoo")
class ImplicitHead(PosteriorHead):
    """z = W relu(A h(x) + B eps + c), eps ~ N(0, I) (paper.md section 6.6).

    The hidden layer is chosen: features and noise side by side in one linear layer would only give
    a Gaussian whose covariance is the same for every x. B starts with outputs of unit variance
    (chosen), so that the noise matters from the first step.

    Args:
        latent_size: D.
        noise_size: size of eps; by default D (chosen), the least that can fill the code space.

    Raises:
        UsageError: a size is out of range.
    """

    def __init__(self, latent_size: int, noise_size: int | None = None, **kwargs: Any):
        noise_size = latent_size if noise_size is None else noise_size
        _at_least(1, latent_size=latent_size, noise_size=noise_size)
        from_features = _dense(IMPLICIT_HIDDEN, use_bias=True)
        super().__init__(latent_size, noise_size, from_features, **kwargs)
        self.from_noise = keras.layers.Dense(
            IMPLICIT_HIDDEN, use_bias=False, kernel_initializer="lecun_normal", dtype="float32"
        )
        self.code = _dense(latent_size)

    def build(self, features_shape: Sequence[int | None]) -> None:
        """Creates all weights; `features_shape` is `(None, F)`."""
        super().build(features_shape)
        self.from_noise.build((None, self.noise_size))
        self.code.build((None, IMPLICIT_HIDDEN))

    def distribution(self, features: tf.Tensor) -> ImplicitPosterior:
        """q(z|x) of features `[N, F]`."""
        hidden = tf.cast(self(features), tf.float32)

        def draw(noise: tf.Tensor) -> tf.Tensor:
            return self.code(tf.nn.relu(hidden + self.from_noise(noise)))

        return ImplicitPosterior(draw, self.noise_size)

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {**super().get_config(), "noise_size": self.noise_size}
