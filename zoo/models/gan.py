"""The two GAN baselines."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real, gradient_penalty
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class DCGAN(GenerativeModel):
    """DCGAN (Radford et al. 2016) with the non-saturating loss (Rosca et al. 2018, footnote 1 [P]).

    With x from the data and z ~ p(z):

        image_critic:  -log D(x) - log(1 - D(G(z)))
        decoder:       -log D(G(z))
    """

    players = ("decoder", "image_critic")
    matching = Matching(
        visible="marginal, ratio",
        latent="none",
        decoder="implicit",
        posterior="none",
        bound_status="not_available",
    )
    terms = ("critic_real", "critic_fake")
    learning_rates = {"decoder": 2e-4, "image_critic": 2e-4}  # [F:S9; C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        samples = self.generate(noise.normal("prior", (self.latent_size,)), training)
        real = self.image_critic(images, training=training)
        fake = self.image_critic(samples, training=training)
        losses = {
            "decoder": tf.reduce_mean(as_real(fake)),
            "image_critic": tf.reduce_mean(as_real(real) + as_fake(fake)),
        }
        return losses, {"critic_real": real, "critic_fake": fake}


@keras.saving.register_keras_serializable(package="zoo")
class WGANGP(GenerativeModel):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017).

    With x from the data, z ~ p(z), x' = x + a (G(z) - x), a ~ U(0, 1) per example:

        image_critic:  f(G(z)) - f(x) + gradient_penalty * (||grad f(x')|| - 1)^2
        decoder:       -f(G(z))

    Weight 10 and five critic updates on fresh batches per decoder update [P]. No batch norm in
    the critic: the penalty is per example [C, H].
    """

    players = ("decoder", "image_critic")
    repeated_players = ("image_critic",)
    critic_batch_norm = False
    matching = Matching(
        visible="marginal, Wasserstein",
        latent="none",
        decoder="implicit",
        posterior="none",
        bound_status="not_available",
    )
    terms = ("critic_real", "critic_fake", "critic_gap", "penalty")
    options = (
        Option("gradient_penalty", 10.0, "Weight of the critic's gradient penalty.", at_least=0),
        Option(
            "critic_updates",
            5,
            "Updates of the critic per update of the decoder.",
            above=0,
            at_most=100,
        ),
    )
    learning_rates = {"decoder": 1e-4, "image_critic": 1e-4}  # [F:S9]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        samples = self.generate(noise.normal("prior", (self.latent_size,)), training)
        real = self.image_critic(images, training=training)
        fake = self.image_critic(samples, training=training)
        position = noise.uniform("interpolation", (1, 1, 1))
        # The penalty moves the critic alone: without this its gradient would be traced into the
        # decoder.
        penalty = gradient_penalty(self.image_critic, images, tf.stop_gradient(samples), position)
        losses = {
            "decoder": tf.reduce_mean(-fake),
            "image_critic": tf.reduce_mean(fake - real + self.gradient_penalty * penalty),
        }
        report = {"critic_real": real, "critic_fake": fake, "critic_gap": real - fake}
        return losses, {**report, "penalty": penalty}
