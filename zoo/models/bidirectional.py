"""Bidirectional GANs: BiGAN, ALI and ALICE."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option

# Of two tensors, by element.
DISTANCES = {"l1": lambda one, other: tf.abs(one - other), "l2": tf.math.squared_difference}


@keras.saving.register_keras_serializable(package="zoo")
class BiGAN(GenerativeModel):
    """Bidirectional GAN (Donahue et al. 2017): the encoder is a point.

    A joint critic T(x, z), positive for generated pairs as VEEGAN's, learns log p(x, z)/q(x, z)
    of p = p(z)p(x|z) and q = p*(x)q(z|x). With x from the data, z^ ~ q(z|x), z ~ p(z), x' = G(z):

        joint_critic:      -log sigma(T(x', z)) - log(1 - sigma(T(x, z^)))
        encoder, decoder:  -log sigma(T(x, z^)) - log(1 - sigma(T(x', z)))

    One loss for both players, the critic's with the labels swapped: its first term reaches the
    encoder alone, its second the decoder alone [F, H]. Their code has data = 1: the same game.

    There is no `elbo` to export. In the mean over q, T(x, z^) is -KL(q||p), hence ELBO + H(p*):
    what it bounds is log p(x)/p*(x), and p* is not known. G has no likelihood beside.
    """

    players = ("encoder", "decoder", "joint_critic")
    matching = Matching(
        visible="joint ratio",
        latent="joint ratio",
        decoder="implicit",
        posterior="implicit",
        bound_status="not_available",
    )
    terms: tuple[str, ...] = ("critic_generated", "critic_data")
    posteriors: tuple[str, ...] = ("deterministic",)
    options: tuple[Option, ...] = (
        Option(
            "joint_batch",
            False,  # chosen [C]: as the zoo's other critics; True in ALI's code [F:S11]
            "Show the joint critic data and generated pairs as one batch, which its batch norm "
            "treats alike.",
        ),
    )
    # The authors' [F, H].
    learning_rates = {"encoder": 2e-4, "decoder": 2e-4, "joint_critic": 2e-4}

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z = noise.normal("prior", (self.latent_size,))
        samples = self.generate(z, training)
        z_hat = self.draw_posterior(self.posterior(images, training), noise)
        generated, data = self._logits((samples, z), (images, z_hat), training)
        cycles, report = self._cycles((samples, z), (images, z_hat), training)
        loss = tf.reduce_mean(as_real(data) + as_fake(generated) + cycles)
        losses = {
            "encoder": loss,
            "decoder": loss,
            "joint_critic": tf.reduce_mean(as_real(generated) + as_fake(data)),
        }
        return losses, {"critic_generated": generated, "critic_data": data, **report}

    def _logits(self, generated: tuple, data: tuple, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """T of the pairs of images and codes of either kind, both `[N]`."""
        if not self.joint_batch:
            return tuple(
                self.joint_critic(*pairs, training=training) for pairs in (generated, data)
            )
        images, codes = (tf.concat(both, axis=0) for both in zip(generated, data, strict=True))
        return tuple(tf.split(self.joint_critic(images, codes, training=training), 2))

    def _cycles(self, generated: tuple, data: tuple, training: bool) -> tuple:
        """What encoder and decoder add `[N]` for pairs of either kind, and report: nothing here."""
        return 0.0, {}


@keras.saving.register_keras_serializable(package="zoo")
class ALI(BiGAN):
    """Adversarially learned inference (Dumoulin et al. 2017): BiGAN with a Gaussian posterior.

    z^ = mu + s * eps; the critic's gradient reaches mu and s through it. The density of q(z|x)
    enters no loss, but is there for whoever measures the marginal KL.
    """

    matching = Matching(
        visible="joint ratio",
        latent="joint ratio",
        decoder="implicit",
        posterior="explicit",
        bound_status="not_available",
    )
    posteriors: tuple[str, ...] = ("gaussian",)
    # The authors' [F:S11, H].
    learning_rates = {"encoder": 1e-4, "decoder": 1e-4, "joint_critic": 1e-4}


@keras.saving.register_keras_serializable(package="zoo")
class ALICE(ALI):
    """ALI with conditional entropies (Li et al. 2017).

    The two joint distributions may agree while x does not tell z, nor z tell x. Cycles bound the
    conditional entropies from above, up to constants, and reach encoder and decoder alike:

        encoder, decoder:  ... + image_cycle_weight * mean |x - G(z^)|
                               + code_cycle_weight * mean |z - E(x')|

    Means over pixels and over dimensions; squares with `cycle=l2`; E(x') is the point of q(z|x').
    The adversarial part is ALI's [C]; in the authors' code it has the sigmoid in the place of its
    logarithm, whose gradient vanishes where the critic wins [F, H]. Their third kind of cycle, by
    a critic of the pairs (x, x) and (x, G(z^)), is not here: it would be another player.
    """

    matching = Matching(
        visible="joint ratio + cycle",
        latent="joint ratio + code cycle",
        decoder="implicit",
        posterior="either",
        bound_status="not_available",
    )
    terms = (*ALI.terms, "image_cycle", "code_cycle")
    posteriors = ("gaussian", "deterministic")
    options = (
        *ALI.options,
        Option(
            "cycle",
            "l1",
            "Distance of images and codes from what becomes of them on the way there and back.",
            choices=("l1", "l2"),
        ),
        # Both chosen [C]: 1 is what the authors' code has for MNIST [F, H].
        Option("image_cycle_weight", 1.0, "Weight of the cycle of images.", at_least=0),
        Option("code_cycle_weight", 1.0, "Weight of the cycle of codes.", at_least=0),
    )

    def _cycles(self, generated: tuple, data: tuple, training: bool) -> tuple:
        """Both cycles."""
        (samples, z), (images, z_hat) = generated, data
        distance = DISTANCES[self.cycle]
        image_cycle = tf.reduce_mean(
            distance(images, self.generate(z_hat, training)), axis=[1, 2, 3]
        )
        code_cycle = tf.reduce_mean(distance(z, self.posterior(samples, training).point()), axis=1)
        cycles = self.image_cycle_weight * image_cycle + self.code_cycle_weight * code_cycle
        return cycles, {"image_cycle": image_cycle, "code_cycle": code_cycle}
