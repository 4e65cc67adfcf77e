"""Priors: p(z), and what of it a model learns (paper.md section 8).

A *head* is a Keras layer; its method `distribution(posterior)` gives the prior object (`Prior`).
Codes are float32 `[N, D]`, log-probabilities nats `[N]`, summed over D. All is computed by hand:
what TensorFlow Probability offers adds operations that exports cannot take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.distributions.code_distributions import Posterior, log_normal, log_standard_normal
from zoo.distributions.portable import log_sum_exp
from zoo.errors import UsageError
from zoo.noise import Noise
from zoo.options import Option


class Prior:
    """What every p(z) offers; D is the latent size."""

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z) of codes `[N, D]`: `[N]`, nats."""
        raise NotImplementedError

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`, one for each row of the noise."""
        raise NotImplementedError

    def kl(self, q: Posterior, z: tf.Tensor) -> tf.Tensor:
        """KL(q(z|x) || p(z)) `[N]`, nats: `log q(z|x) - log p(z)` at `z`, the very tensor that
        `q.reparameterize` returned."""
        return q.draw_log_prob(z) - self.log_prob(z)

    def fixed(self) -> Prior:
        """Itself with numbers in the place of what it was computed by."""
        return self


class StandardNormal(Prior):
    """N(0, I) [P]."""

    def __init__(self, latent_size: int):
        self.latent_size = latent_size

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z) `[N]`, nats."""
        return log_standard_normal(z)

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`."""
        return noise.normal("prior", (self.latent_size,))

    def kl(self, q: Posterior, z: tf.Tensor) -> tf.Tensor:
        """In closed form where `q` has it."""
        return q.kl(z)


class Mixture(Prior):
    """`p(z) = sum_k pi_k N(z; mu_k, diag s_k^2)`.

    Args:
        mean: `[K, D]`.
        stddev: `[K, D]`, positive.
        log_weights: log pi_k `[K]`; K equal ones by default.
    """

    def __init__(self, mean: Any, stddev: Any, log_weights: Any = None):
        count = mean.shape[0]
        equal = np.full(count, -np.log(count), np.float32)
        self.mean, self.stddev = mean, stddev
        self.log_weights = equal if log_weights is None else log_weights

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The arguments of the constructor."""
        return self.mean, self.stddev, self.log_weights

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z) `[N]`, nats."""
        return log_sum_exp(self.log_weights + self._log_components(z))

    def _log_components(self, z: tf.Tensor) -> tf.Tensor:
        """log N(z_n; mu_k, s_k) `[N, K]`."""
        return log_normal(z[..., None, :], self.mean, self.stddev)

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`: a component by chance, then one of its own."""
        passed = tf.cumsum(tf.exp(self.log_weights))[:-1]
        which = noise.uniform("component", ())[:, None] >= passed
        component = tf.reduce_sum(tf.cast(which, tf.int32), axis=-1)
        return self._place(component, noise.normal("prior", (self.mean.shape[-1],)))

    def _place(self, component: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """Draws `[N, D]` of the components `[N]` from standard normals `[N, D]`."""
        return tf.gather(self.mean, component) + tf.gather(self.stddev, component) * normals

    def fixed(self) -> Mixture:
        """With its parameters as NumPy arrays."""
        return type(self)(*map(np.asarray, self.parameters))


class PriorHead(keras.layers.Layer):
    """Base of the heads: all weights are made by the constructor.

    Args:
        latent_size: D.
        image_shape: `(H, W, C)`.

    Attributes:
        options: its settings in `ModelConfig`, arguments of the constructor.
        player: the player of the model whose network it is; None where the model trains none.
        posteriors: those that it goes with; none named where it goes with all.
        ex_post: whether it is fitted to the codes of a model that is trained.
        explicit: whether p(z) has a density.
        exact: whether `log_prob` is that density, and no lower bound of it.
    """

    options: tuple[Option, ...] = ()
    player: str | None = None
    posteriors: tuple[str, ...] = ()
    ex_post = False
    explicit = True
    exact = True

    def __init__(self, latent_size: int, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_size, self.image_shape = latent_size, tuple(image_shape)
        self.built = True

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> Prior:
        """p(z).

        Args:
            posterior: images -> q(z|x) of the model, in inference mode.
        """
        raise NotImplementedError


class StandardNormalHead(PriorHead):
    """N(0, I), of which nothing is learned."""

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> StandardNormal:
        """N(0, I)."""
        return StandardNormal(self.latent_size)


class NoPrior(Prior):
    """No p(z): the model draws nothing."""

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """Always raises `UsageError`."""
        raise self._refused()

    def draw(self, noise: Noise) -> tf.Tensor:
        """Always raises `UsageError`."""
        raise self._refused()

    @staticmethod
    def _refused() -> UsageError:
        return UsageError("this model has no prior to sample from: zoo-fit-prior fits one to a run")


class NoPriorHead(PriorHead):
    """None, for models that match q(z) with nothing."""

    explicit = False

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> NoPrior:
        """What refuses to draw."""
        return NoPrior()


class VampHead(PriorHead):
    """The mixture of the posteriors of K images that are learned (Tomczak & Welling 2018).

        p(z) = 1/K sum_k q(z|u_k),    u_k = clip(a free variable, 0, 1)        [H]

    The encoder's pass over them is in inference mode also in training (chosen): batch statistics
    of their own would make another p(z) of them than evaluation and exports have. The free
    variables start from N(0.4, 0.05), as the authors' for CIFAR-10: inside (0, 1), outside of
    which no gradient reaches them.
    """

    options = (
        Option(
            "components",
            100,  # chosen: the paper's 500 are eight times the encoder's work on a batch of 64
            "Images whose posteriors make up the prior.",
            above=0,
            at_most=65_536,
        ),
    )
    player = "pseudo_inputs"
    posteriors = ("gaussian",)

    def __init__(
        self, latent_size: int, image_shape: tuple[int, int, int], components: int, **kwargs: Any
    ):
        super().__init__(latent_size, image_shape, **{"name": "pseudo_inputs", **kwargs})
        self.free = self.add_weight(
            name="images",
            shape=(components, *self.image_shape),
            initializer=keras.initializers.RandomNormal(0.4, 0.05),
        )

    def images(self) -> tf.Tensor:
        """u `[K, H, W, C]`."""
        return tf.clip_by_value(self.free.value, 0.0, 1.0)

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> Mixture:
        """The mixture of the encoder as it is."""
        moments = posterior(self.images()).moments()
        return Mixture(moments["mean"], moments["stddev"])
