"""Regularised autoencoder."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import decoder_slope, squared_error
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.models.spectral import SpectralModel
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class RAE(SpectralModel, GenerativeModel):
    """Regularised autoencoder (Ghosh et al. 2020): a VAE without noise, prior and KL.

    With x from the data, z = E(x), x^ = G(z), encoder and decoder minimise

        ||x - x^||^2 / pixels + code_weight * mean_j z_j^2 + penalty

    with the squared distance summed over channels, and a penalty by `regularization`:

        l2:        regularization_weight * sum of the squares of all kernels of the decoder
        gradient:  regularization_weight * mean_j (d ||x^||^2 / dz_j)^2
        spectral:  none; W / sigma(W) stands for each kernel W of the decoder
                   (`zoo.networks.spectral_norm`)
        none:      none

    All terms reach both players, but for `l2`, which has no gradient for the encoder. The slope is
    that of the squared output, as in the authors' code, not of the output.

    Nothing is drawn while it trains, and no p(z) is matched: there is nothing to sample from before
    `zoo-fit-prior` has fitted a density to the codes.
    """

    players = ("encoder", "decoder")
    matching = Matching(
        visible="conditional, squared error",
        latent="none",
        decoder="implicit",
        posterior="implicit",
        bound_status="not_available",
    )
    terms = ("squared_error", "code_square", "penalty")
    posteriors = ("deterministic",)
    priors = ("none",)
    options = (
        Option(
            "code_weight",
            1e-4,  # the authors', for MNIST with l2 and gradient
            "Weight of the mean square of codes.",
            at_least=0,
        ),
        Option(
            "regularization",
            "l2",
            "What keeps the decoder smooth.",
            choices=("l2", "gradient", "spectral", "none"),
        ),
        Option(
            "regularization_weight",
            1e-7,  # the authors', for MNIST with l2; 5e-8 with gradient
            "Weight of the decoder's penalty, for --regularization=l2 and gradient.",
            at_least=0,
        ),
    )
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4}  # the authors', for MNIST

    @property
    def normalised_players(self) -> tuple[str, ...]:
        """The decoder, where that is what keeps it smooth."""
        return ("decoder",) if self.config.regularization == "spectral" else ()

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The one loss of the equation above."""
        z = self.posterior(images, training).point()
        reconstructions, penalty = self._decoded(z, training)
        error = squared_error(images, reconstructions)
        square = tf.reduce_mean(tf.square(z), axis=-1)
        loss = tf.reduce_mean(error + self.code_weight * square + penalty)
        report = {
            "squared_error": error,
            "code_square": square,
            "penalty": penalty + tf.zeros_like(error),
        }
        return {"encoder": loss, "decoder": loss}, report

    def _decoded(self, z: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor | float]:
        """The reconstructions, and the penalty, of each example or of all."""
        if self.regularization == "gradient":
            decoded, slope = decoder_slope(lambda codes: self.generate(codes, training), z)
            return decoded, self.regularization_weight * slope
        decoded = self.generate(z, training)
        if self.regularization != "l2":
            return decoded, 0.0
        variables = self.decoder.trainable_variables
        kernels = [v.value for v in variables if v.name.endswith("kernel")]
        squares = sum(tf.reduce_sum(tf.square(kernel)) for kernel in kernels)
        return decoded, self.regularization_weight * squares
