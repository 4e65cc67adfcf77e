"""Ex-post priors that are networks, trained on codes of mean 0 and variance 1 in each dimension."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense

from zoo.distributions.code_distributions import Posterior, log_normal, log_standard_normal
from zoo.distributions.density_models import LOG_STDDEV_LIMIT, MaskedAutoregressiveFlow
from zoo.distributions.ex_post import ExPostHead
from zoo.distributions.portable import log_sum_exp
from zoo.distributions.priors import Prior
from zoo.noise import Noise


class Standardized(Prior):
    """`log r(z) = log r_0((z - m) / s) - sum log s`.

    Args:
        network: r_0, with `log_prob(z)` and `draw(noise)`.
        mean: m `[D]`.
        stddev: s `[D]`, positive.
    """

    def __init__(self, network: Any, mean: tf.Tensor, stddev: tf.Tensor):
        self.network, self.mean, self.stddev = network, mean, stddev

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log r(z) `[N]`, nats."""
        log_det = tf.reduce_sum(tf.math.log(self.stddev))
        return self.network.log_prob((z - self.mean) / self.stddev) - log_det

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`."""
        return self.mean + self.stddev * self.network.draw(noise)


class NetworkHead(ExPostHead):
    """Base of these priors.

    Attributes:
        network: r_0, a Keras layer with what `Standardized` asks of it.
        learning_rate: of Adam.
    """

    network: Any
    learning_rate = 1e-3  # chosen

    def __init__(self, latent_size: int, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(latent_size, image_shape, **kwargs)
        self.mean = self._weight("mean", (latent_size,))
        self.stddev = self._weight("stddev", (latent_size,), "ones")
        self.network = self._made(latent_size)
        self.network.trainable = False

    def _made(self, latent_size: int) -> Any:
        """r_0, built."""
        raise NotImplementedError

    def loss(self, z: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """What the fit minimises, of minibatches `[N, D]` of codes and of standard normals."""
        return -tf.reduce_mean(self.network.log_prob(z))

    def standardize(self, codes: np.ndarray) -> None:
        """Takes mean and standard deviation of codes `[N, D]`."""
        self.mean.assign(codes.mean(axis=0))
        self.stddev.assign(np.maximum(codes.std(axis=0), np.finfo(np.float32).eps))

    def whiten(self, codes: np.ndarray) -> np.ndarray:
        """Codes `[N, D]` as the network has them."""
        return (codes - self.mean.numpy()) / self.stddev.numpy()

    def distribution(self, posterior: Callable[[tf.Tensor], Posterior]) -> Standardized:
        """r(z)."""
        return Standardized(self.network, self.mean.value, self.stddev.value)


class MaskedAutoregressiveFlowHead(NetworkHead):
    """A masked autoregressive flow, of which a draw takes D passes through each block."""

    def _made(self, latent_size: int) -> MaskedAutoregressiveFlow:
        flow = MaskedAutoregressiveFlow(latent_size)
        flow.build()
        return flow


class SkipNetwork(keras.layers.Layer):
    """Hidden layers, and linear outputs of the last of them beside the input (Dai & Wipf 2019).

    The outputs are 0 before training.

    Args:
        size: of the input.
        outputs: sizes of the outputs.
    """

    hidden, units = 3, 1024  # the authors'

    def __init__(self, size: int, *outputs: int):
        super().__init__(dtype="float32")
        sizes = [size, *[self.units] * self.hidden]
        self.layers = [Dense(self.units, "relu", dtype="float32") for _ in range(self.hidden)]
        self.heads = [
            Dense(output, kernel_initializer="zeros", dtype="float32") for output in outputs
        ]
        for layer, inputs in zip(self.layers, sizes, strict=False):
            layer.build((None, inputs))
        for head in self.heads:
            head.build((None, self.units + size))
        self.built = True

    def call(self, x: tf.Tensor) -> list[tf.Tensor]:
        """An output `[..., size]` each, from `[..., size]`."""
        h = x
        for layer in self.layers:
            h = layer(h)
        together = tf.concat([h, x], axis=-1)
        return [head(together) for head in self.heads]


class CodeVAE(keras.layers.Layer):
    """The second stage of a two-stage VAE (Dai & Wipf 2019): a VAE of codes z.

        r(z) = integral N(u; 0, I) N(z; G(u), gamma^2 I) du,    u of the size of z
        loss = -E_q(u|z)[log N(z; G(u), gamma^2 I)] + KL(q(u|z) || N(0, I))

    gamma is one learned number; log gamma is clipped at -4, below which the likelihood runs off.

    Args:
        latent_size: D, of z and u.
    """

    least_log_gamma = -4.0  # chosen
    draws_of_bound = 16  # chosen

    def __init__(self, latent_size: int):
        super().__init__(dtype="float32")
        self.latent_size = latent_size
        self.encoder = SkipNetwork(latent_size, latent_size, latent_size)
        self.decoder = SkipNetwork(latent_size, latent_size)
        self.log_gamma = self.add_weight(name="log_gamma", shape=(), initializer="zeros")
        self.draws = self.add_weight(
            name="draws",
            shape=(self.draws_of_bound, latent_size),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=0),
            trainable=False,
        )
        self.built = True

    @property
    def gamma(self) -> tf.Tensor:
        """The standard deviation of z about G(u)."""
        return tf.exp(tf.maximum(self.log_gamma.value, self.least_log_gamma))

    def log_weights(self, z: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """log N(z; G(u), gamma^2 I) + log N(u; 0, I) - log q(u|z), u made of standard normals;
        nats, the shape of `normals` but for D."""
        mean, log_stddev = self.encoder(z)
        log_stddev = tf.clip_by_value(log_stddev, -LOG_STDDEV_LIMIT, LOG_STDDEV_LIMIT)
        u = mean + tf.exp(log_stddev) * normals
        (decoded,) = self.decoder(u)
        log_q = log_standard_normal(normals) - tf.reduce_sum(log_stddev, axis=-1)
        return log_normal(z, decoded, self.gamma) + log_standard_normal(u) - log_q

    def loss(self, z: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """Minus the bound, of one draw u for each code `[N, D]`."""
        return -tf.reduce_mean(self.log_weights(z, normals))

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """A lower bound of log r(z) `[N]`, nats, in expectation over draws that are the same for
        all codes: log mean_k of the weights (Burda et al. 2016)."""
        log_weights = self.log_weights(z[..., None, :], self.draws.value)
        return log_sum_exp(log_weights) - math.log(self.draws_of_bound)

    def draw(self, noise: Noise) -> tf.Tensor:
        """Codes `[N, D]`."""
        (decoded,) = self.decoder(noise.normal("prior", (self.latent_size,)))
        return decoded + self.gamma * noise.normal("code", (self.latent_size,))


class TwoStageHead(NetworkHead):
    """A VAE of codes, whose density is known from below only."""

    exact = False

    def _made(self, latent_size: int) -> CodeVAE:
        return CodeVAE(latent_size)

    def loss(self, z: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """Minus the bound, of a draw for each code of its own."""
        return self.network.loss(z, normals)
