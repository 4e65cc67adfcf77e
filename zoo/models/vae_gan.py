"""VAE/GAN: an autoencoder that is judged by the features of a critic."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.feature_critic import FeatureCritic
from zoo.noise import Noise
from zoo.options import Option

# Pixels: the authors' layers have maps of 8x8, for images of 64 and of 32.
FEATURE_SIDE = 8
# Mean costs of a critic that is neither beaten nor beyond beating: the authors' 0.68 -+ 0.35.
LEAST_COST, GREATEST_COST = 0.33, 1.03


@keras.saving.register_keras_serializable(package="zoo")
class VAEGAN(GenerativeModel):
    """VAE/GAN (Larsen et al. 2016).

    With x from the data, z^ = mu + s * eps ~ q(z|x), x^ = G(z^), z ~ p(z), x' = G(z), the features
    f of a layer of the image critic D, and R = 0.5 ||f(x^) - f(x)||^2, summed over features:

        encoder:       KL(q(z|x) || p(z)) + R
        decoder:       feature_weight * R - log D(x')
        image_critic:  -log D(x) - log(1 - D(x'))

    R, the negative logarithm of a unit Gaussian up to a constant, reaches the encoder through
    critic and decoder; it does not move the critic, nor does the last term of the decoder's loss
    move the encoder. With `judge_reconstructions` decoder and critic have the mean of their term on
    x' and of the same on x^, as the paper has it, its code not. With `minimax` the decoder's is
    log(1 - D), as in both.

    With `balance`, the critic's loss is 0 in a step where the mean of -log D(x) or of
    -log(1 - D(x')) is below 0.33, the decoder's where one is above 1.03; where both would be, none
    is. Adam goes on with half a step, then a quarter, and so on: by one in all.
    """

    players = ("encoder", "decoder", "image_critic")
    matching = Matching(
        visible="critic-feature likelihood + marginal ratio",
        latent="conditional, analytic KL",
        decoder="implicit",
        posterior="explicit",
        bound_status="not_available",
    )
    terms = ("feature_distance", "kl", "critic_real", "critic_reconstruction", "critic_sample")
    posteriors = ("gaussian",)
    options = (
        Option(
            "feature_weight",
            1e-5,  # the authors', for CIFAR-10
            "Weight of the distance of features in the decoder's loss.",
            at_least=0,
        ),
        Option(
            "judge_reconstructions",
            False,
            "Let the image critic tell reconstructions from data too, not samples alone.",
        ),
        Option(
            "minimax",
            False,
            "Let the decoder minimise log(1 - D), as published, in the place of -log D.",
        ),
        Option(
            "balance",
            False,
            "Give the image critic, or the decoder, a loss of 0 in steps where it is far ahead.",
        ),
    )
    learning_rates = {"encoder": 3e-4, "decoder": 3e-4, "image_critic": 3e-4}  # chosen

    def _wrapped(self, player: str, network: Any) -> Any:
        return FeatureCritic(network, FEATURE_SIDE) if player == "image_critic" else network

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        q = self.posterior(images, training)
        z_hat = self.draw_posterior(q, noise)
        reconstructions = self.generate(z_hat, training)
        samples = self.generate(noise.normal("prior", (self.latent_size,)), training)
        real, wanted = self.image_critic(images, training=training)
        rebuilt, features = self.image_critic(reconstructions, training=training)
        drawn, _ = self.image_critic(samples, training=training)
        axes = list(range(1, features.shape.rank))
        distance = 0.5 * tf.reduce_sum(tf.square(features - wanted), axis=axes)
        kl = self.prior().kl(q, z_hat)
        fakes = tf.stack([drawn, rebuilt] if self.judge_reconstructions else [drawn])
        fool = -as_fake(fakes) if self.minimax else as_real(fakes)
        real_cost, fake_cost = as_real(real), tf.reduce_mean(as_fake(fakes), axis=0)
        critic_moves, decoder_moves = self._moves(real_cost, fake_cost)
        decoder = self.feature_weight * distance + tf.reduce_mean(fool, axis=0)
        losses = {
            "encoder": tf.reduce_mean(kl + distance),
            "decoder": decoder_moves * tf.reduce_mean(decoder),
            "image_critic": critic_moves * tf.reduce_mean(real_cost + fake_cost),
        }
        report = {
            "feature_distance": distance,
            "kl": kl,
            "critic_real": real,
            "critic_reconstruction": rebuilt,
            "critic_sample": drawn,
        }
        return losses, report

    def _moves(self, real_cost: tf.Tensor, fake_cost: tf.Tensor) -> tuple[Any, Any]:
        """Whether the critic and the decoder move, 1 or 0, by the costs of the global batch."""
        if not self.balance:
            return 1.0, 1.0
        rows = self.gather(tf.stop_gradient(tf.stack([real_cost, fake_cost], axis=1)))
        costs = tf.reduce_mean(rows, axis=0)
        critic = tf.reduce_all(costs >= LEAST_COST)
        decoder = tf.reduce_all(costs <= GREATEST_COST)
        neither = ~(critic | decoder)
        return tf.cast(critic | neither, tf.float32), tf.cast(decoder | neither, tf.float32)
