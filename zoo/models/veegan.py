"""VEEGAN."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real, squared_distance
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel, Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class VEEGAN(GenerativeModel):
    """VEEGAN (Srivastava et al. 2017; Rosca et al. 2018, section 5.2).

    The encoder is the reconstructor F, deterministic. A joint critic T(x, z) learns
    log p(x|z)p(z) / (p(z|x)p*(x)). With x from the data, z ~ p(z), x_g = G(z) (paper.md section
    6.7 [F:S6, H]):

        joint_critic:  -log sigma(T(x_g, z)) - log(1 - sigma(T(x, F(x))))
        decoder:       T(x_g, z) + ||z - F(x_g)||^2
        encoder:       ||z - F(x_g)||^2

    The raw logit, unweighted [P]; the distance is summed over dimensions. `bound` is the right
    side of equation (15), -T(x_g, z) + log p(z): a classifier stands for its divergence, and it
    bounds E log p(z) of codes, not the likelihood of images, so that there is no `elbo` to
    export.

    With `reconstructor_adversarial` the encoder's loss is ||z - F(x_g)||^2 - T(x, F(x)): it too
    draws the two joint distributions together, as in ALI (Dumoulin et al. 2017) and in the
    notebook that goes with VEEGAN's code (paper.md section 6.7).
    """

    players = ("encoder", "decoder", "joint_critic")
    matching = Matching(
        visible="joint ratio",
        latent="joint ratio + code reconstruction",
        decoder="implicit",
        posterior="implicit",
        bound_status="not_available",
    )
    terms = ("bound_ratio_estimate", "code_distance", "critic_generated", "critic_data")
    posteriors = ("deterministic",)
    options = (
        Option(
            "reconstructor_adversarial",
            False,
            "Let the joint critic move the encoder too, as in bidirectional GANs.",
        ),
    )
    learning_rates = {"encoder": 2e-4, "decoder": 2e-4, "joint_critic": 2e-4}  # chosen [C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z = noise.normal("prior", (self.latent_size,))
        samples = self.generate(z, training)
        distance = squared_distance(z, self.posterior(samples, training).point())
        codes = self.posterior(images, training).point()
        generated = self.joint_critic(samples, z, training=training)
        data = self.joint_critic(images, codes, training=training)
        adversarial = -data if self.reconstructor_adversarial else 0.0
        losses = {
            "encoder": tf.reduce_mean(distance + adversarial),
            "decoder": tf.reduce_mean(generated + distance),
            "joint_critic": tf.reduce_mean(as_real(generated) + as_fake(data)),
        }
        report = {
            "bound_ratio_estimate": self.prior().log_prob(z) - generated,
            "code_distance": distance,
            "critic_generated": generated,
            "critic_data": data,
        }
        return losses, report
