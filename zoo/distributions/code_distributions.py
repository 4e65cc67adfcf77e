"""Distributions over codes: the posterior objects q(z|x) that heads return.

Codes are float32 `[N, D]`; log-probabilities and divergences are nats per example `[N]`, summed
over D.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.errors import UsageError


def log_normal(z: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """`log N(z; mean, diag stddev^2)` `[N]`, nats; all `[N, D]` or of a shape that broadcasts."""
    # By hand: log_prob adds operations that exports cannot take.
    terms = tf.square((z - mean) / stddev) + (2.0 * tf.math.log(stddev) + math.log(2 * math.pi))
    return -0.5 * tf.reduce_sum(terms, axis=-1)


def log_standard_normal(z: tf.Tensor) -> tf.Tensor:
    """`log N(z; 0, I)` `[N]`, nats, of codes `[N, D]`."""
    return -0.5 * tf.reduce_sum(tf.square(z) + math.log(2 * math.pi), axis=-1)


def log_ratio_to_prior(z: tf.Tensor, u: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """`log N(u; mean, diag stddev^2) - log N(z; 0, I)` `[N]`, nats; all `[N, D]`."""
    # With 2 pi cancelled.
    terms = tf.square(z) - tf.square((u - mean) / stddev) - 2.0 * tf.math.log(stddev)
    return 0.5 * tf.reduce_sum(terms, axis=-1)


def on_sphere(z: tf.Tensor) -> tf.Tensor:
    """Codes `[N, D]` brought to the norm sqrt(D), about which the draws of p(z) lie."""
    return z.shape[-1] ** 0.5 * tf.math.l2_normalize(z, axis=-1, epsilon=1e-24)  # chosen


class Posterior(Protocol):
    """What every q(z|x) of a batch of N examples offers; D is the latent size.

    Attributes:
        bound_status: status of an ELBO with `kl`: "exact" (closed form), "estimate" (unbiased, from
            one sample) or "not_available".
    """

    bound_status: str

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """A draw `z [N, D]` as a differentiable function of standard normals `[N, noise_size]`."""

    def point(self) -> tf.Tensor:
        """The point code `z [N, D]`."""

    def kl(self, z: tf.Tensor) -> tf.Tensor:
        """KL(q(z|x) || N(0, I)) `[N]`, nats, or its estimate at the draw `z`."""

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log q(z|x) `[N]`, nats."""

    def draw_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """`log_prob` of the very tensor that `reparameterize` returned, in operations that exports
        can take."""

    def moments(self) -> dict[str, tf.Tensor]:
        """`mean` and `stddev` `[N, D]` where q(z|x) has them; `base_mean` and `base_stddev` where
        it is a Gaussian carried through a flow."""


class GaussianPosterior(tfd.MultivariateNormalDiag):
    """N(mean, diag stddev^2) with `z = mean + stddev * eps` and KL in closed form."""

    bound_status = "exact"

    def moments(self) -> dict[str, tf.Tensor]:
        """`mean` and `stddev` `[N, D]`."""
        # The tensors themselves: TFP's mean() and stddev() add operations that exports cannot take.
        return {"mean": self.loc, "stddev": self.scale.diag}

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """`z [N, D]`; see `Posterior`."""
        return self.loc + self.scale.diag * noise

    def point(self) -> tf.Tensor:
        """The mean `[N, D]`."""
        return self.loc

    def kl(self, z: tf.Tensor) -> tf.Tensor:
        """`0.5 sum(mean^2 + stddev^2 - 1 - 2 log stddev)` `[N]`, nats; `z` plays no part."""
        del z
        mean, stddev = self.loc, self.scale.diag
        terms = tf.square(mean) + tf.square(stddev) - 1.0 - 2.0 * tf.math.log(stddev)
        return 0.5 * tf.reduce_sum(terms, axis=-1)

    def draw_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log q(z|x) `[N]`, nats; see `Posterior`."""
        return log_normal(z, self.loc, self.scale.diag)


class RealNVPPosterior(tfd.TransformedDistribution):
    """`z = f(u)`, u ~ a `GaussianPosterior`: log q(z|x) = log N(u; mu, s) - log|det df/du|."""

    bound_status = "estimate"

    def moments(self) -> dict[str, tf.Tensor]:
        """`base_mean` and `base_stddev` `[N, D]`, those of u; those of z have no closed form."""
        return {f"base_{name}": value for name, value in self.distribution.moments().items()}

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """`z [N, D]`; see `Posterior`."""
        return self.bijector.forward(self.distribution.reparameterize(noise))

    def point(self) -> tf.Tensor:
        """The mean of u carried through the flow `[N, D]`."""
        return self.bijector.forward(self.distribution.point())

    def kl(self, z: tf.Tensor) -> tf.Tensor:
        """`log q(z|x) - log N(z; 0, I)` `[N]`, nats, as `draw_log_prob`."""
        u, log_det = self._base_of(z)
        base = self.distribution
        return log_ratio_to_prior(z, u, base.loc, base.scale.diag) - log_det

    def draw_log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log q(z|x) `[N]`, nats.

        Pass the very tensor that `reparameterize` returned: the bijector remembers its u, and
        nothing is inverted.
        """
        u, log_det = self._base_of(z)
        return self.distribution.draw_log_prob(u) - log_det

    def _base_of(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """u `[N, D]` and log|det df/du| `[N]`."""
        u = self.bijector.inverse(z)
        return u, self.bijector.forward_log_det_jacobian(u, event_ndims=1)


_EXPLICIT = "expected posterior=gaussian or real_nvp"


class _WithoutDensity:
    """A posterior that can be drawn from and nothing else."""

    bound_status = "not_available"

    def moments(self) -> dict[str, tf.Tensor]:
        """Nothing; see `Posterior`."""
        return {}

    def kl(self, z: tf.Tensor) -> tf.Tensor:
        """Always raises `UsageError`."""
        raise UsageError(f"{type(self).__name__} has no density, hence no KL: {_EXPLICIT}")

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Always raises `UsageError`."""
        raise UsageError(f"{type(self).__name__} has no density, hence no log_prob: {_EXPLICIT}")

    draw_log_prob = log_prob


class DeterministicPosterior(_WithoutDensity):
    """All mass on one code `[N, D]`."""

    def __init__(self, code: tf.Tensor):
        self._code = code

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """The code, whatever the noise."""
        del noise
        return self._code

    def point(self) -> tf.Tensor:
        """The code `[N, D]`."""
        return self._code


class ImplicitPosterior(_WithoutDensity):
    """`z = g(x, eps)`, a law that is known by its draws.

    Args:
        draw: noise that broadcasts against `[N, noise_size]` -> z `[N, D]`.
        noise_size: standard normals per draw.
    """

    def __init__(self, draw: Callable[[tf.Tensor], tf.Tensor], noise_size: int):
        self._draw, self._noise_size = draw, noise_size

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """`z [N, D]`; see `Posterior`."""
        return self._draw(noise)

    def point(self) -> tf.Tensor:
        """The code at zero noise `[N, D]`."""
        return self._draw(tf.zeros([1, self._noise_size]))
