"""Adversarial generator-encoder network."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.distributions.code_distributions import on_sphere
from zoo.losses import l1
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option

_LEAST_VARIANCE = 1e-8  # chosen: codes that are all alike have no logarithm


def moment_kl(codes: tf.Tensor) -> tf.Tensor:
    """KL(N(m, v) || N(0, 1)) of the mean m and the variance v of each dimension of codes `[N, D]`,
    nats per dimension, the mean over them: a scalar."""
    mean, variance = tf.nn.moments(codes, axes=[0])
    log_variance = tf.math.log(variance + _LEAST_VARIANCE)
    return 0.5 * tf.reduce_mean(variance + tf.square(mean) - 1.0 - log_variance)


def published_moment_kl(codes: tf.Tensor) -> tf.Tensor:
    """As `moment_kl`, with the variance where the standard deviation belongs, as the authors' code
    has it [F:S13]: no divergence, but what their weights were found with."""
    mean, variance = tf.nn.moments(codes, axes=[0])
    log_variance = tf.math.log(variance + _LEAST_VARIANCE)
    return tf.reduce_mean(0.5 * (tf.square(variance) + tf.square(mean) - 1.0) - log_variance)


@keras.saving.register_keras_serializable(package="zoo")
class AGE(GenerativeModel):
    """Adversarial generator-encoder network (Ulyanov et al. 2018).

    The encoder is the critic: what it tells apart are the moments of a batch of codes. With x from
    the data, z ~ p(z), x' = G(z), and D the KL of a Gaussian of the moments of the whole batch,
    per dimension, from N(0, 1),

        encoder:  D(E(x)) - D(E(x')) + image_match_weight * mean |x - G(E(x))|
        decoder:  D(E(x')) + code_match_weight / M * mean (1 - cos(z, E(x')))        [F:S13, H]

    with M latents. Each player's gradient goes through the other, which holds still; no term of
    the data reaches the decoder. The decoder has `decoder_updates` for each one of the encoder,
    each on fresh draws.

    With `posterior=sphere` codes and draws lie on the sphere of the radius sqrt(M): the decoder
    takes z / ||z||, times that. On the unit sphere, which the authors take, D is larger by (1/M - 1
    + log M) / 2 and has the same gradient.
    """

    players = ("encoder", "decoder")
    repeated_players = ("decoder",)
    updates_option = "decoder_updates"
    encoder_is_critic = True
    matching = Matching(
        visible="marginal, through codes of samples",
        latent="marginal, moment KL",
        decoder="implicit",
        posterior="implicit",
        bound_status="not_available",
    )
    terms = ("kl_data", "kl_samples", "l1", "cosine_distance")
    posteriors = ("sphere", "deterministic")
    options = (
        Option(
            "decoder_updates",
            2,  # the authors' for CIFAR-10; 3 for CelebA [F:S13]
            "Updates of the decoder per update of the encoder.",
            above=0,
            at_most=100,
        ),
        Option(
            "image_match_weight",
            20.0,  # the authors' 10, for images in [-1, 1] [F:S13]
            "Weight of the L1 distance of reconstructions in the encoder's loss.",
            at_least=0,
        ),
        Option(
            "code_match_weight",
            1000.0,  # [F:S13]
            "Weight of the distance of codes of samples in the decoder's loss; it is divided by "
            "the number of latents.",
            at_least=0,
        ),
        Option(
            "moment_divergence",
            "correct",
            "Divergence of the codes' moments: correct, or as the authors' code has it.",
            choices=("correct", "published"),
        ),
    )
    learning_rates = {"encoder": 2e-4, "decoder": 2e-4}  # [F:S13]
    least_batch_size = 2  # one code has no variance

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z = noise.normal("prior", (self.latent_size,))
        codes = self.posterior(images, training).point()
        # Of data and of samples by themselves: together, their moments would say nothing.
        sample_codes = self.posterior(self.generate(z, training), training).point()
        distance = l1(images, self.generate(codes, training))
        angle = 1.0 + keras.losses.cosine_similarity(z, sample_codes)  # Keras's is negative
        kl_data, kl_samples = self._divergence(codes), self._divergence(sample_codes)
        match = self.code_match_weight / self.latent_size * tf.reduce_mean(angle)
        losses = {
            "encoder": kl_data - kl_samples + self.image_match_weight * tf.reduce_mean(distance),
            "decoder": kl_samples + match,
        }
        report = {
            "kl_data": kl_data + tf.zeros_like(distance),
            "kl_samples": kl_samples + tf.zeros_like(distance),
            "l1": distance,
            "cosine_distance": angle,
        }
        return losses, report

    def _divergence(self, codes: tf.Tensor) -> tf.Tensor:
        """D of the codes of the whole batch, a scalar."""
        codes = self.gather(codes)
        if self.moment_divergence == "correct":
            return moment_kl(codes)
        return published_moment_kl(codes / self.latent_size**0.5 if self._on_sphere else codes)

    @property
    def _on_sphere(self) -> bool:
        return self.config.posterior == "sphere"

    def parameters(self, z: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """What codes decode to, of any norm where they are taken to the sphere."""
        return super().parameters(on_sphere(z) if self._on_sphere else z, training)
