"""The GAN whose critic is spectrally normalised."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real, hinge_as_fake, hinge_as_real, reverse_kl
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.models.spectral import SpectralModel
from zoo.noise import Noise
from zoo.options import Option

# What the critic minimises on data and on samples, and the decoder on samples.
GAN_LOSSES = {
    "hinge": (hinge_as_real, hinge_as_fake, reverse_kl),
    "non_saturating": (as_real, as_fake, as_real),
}


@keras.saving.register_keras_serializable(package="zoo")
class SNGAN(SpectralModel, GenerativeModel):
    """Spectrally normalised GAN (Miyato et al. 2018).

    With x from the data, z ~ p(z), x' = G(z), and d the logit of a critic in which W / sigma(W)
    stands for each kernel W, that of its head too:

        image_critic:  max(0, 1 - d(x)) + max(0, 1 + d(x'))
        decoder:       -d(x')

    or, with `gan_loss=non_saturating`, DCGAN's -log D(x) - log(1 - D(x')) and -log D(x'). Sigma is
    found by one power iteration per update of the critic, and the gradient goes through it
    (`zoo.networks.spectral_norm`). The normalisation takes the place of the critic's batch norm.
    """

    players = ("decoder", "image_critic")
    repeated_players = ("image_critic",)
    normalised_players = ("image_critic",)
    critic_batch_norm = False
    matching = Matching(
        visible="marginal, hinge or ratio",
        latent="none",
        decoder="implicit",
        posterior="none",
        bound_status="not_available",
    )
    terms = ("critic_real", "critic_fake")
    options = (
        Option(
            "gan_loss",
            "hinge",
            "What critic and decoder minimise.",
            choices=("hinge", "non_saturating"),
        ),
        Option(
            "critic_updates",
            1,  # chosen; the authors have 5 on CIFAR-10
            "Updates of the critic per update of the decoder.",
            above=0,
            at_most=100,
        ),
    )
    learning_rates = {"decoder": 2e-4, "image_critic": 2e-4}  # the authors', for CIFAR-10

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        samples = self.generate(noise.normal("prior", (self.latent_size,)), training)
        real = self.image_critic(images, training=training)
        fake = self.image_critic(samples, training=training)
        on_data, on_samples, of_decoder = GAN_LOSSES[self.gan_loss]
        losses = {
            "decoder": tf.reduce_mean(of_decoder(fake)),
            "image_critic": tf.reduce_mean(on_data(real) + on_samples(fake)),
        }
        return losses, {"critic_real": real, "critic_fake": fake}
