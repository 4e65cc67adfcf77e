"""VEEGAN."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real, squared_distance
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class VEEGAN(GenerativeModel):
    """VEEGAN (Srivastava et al. 2017; Rosca et al. 2018, section 5.2).

    The encoder is the reconstructor, p(z|x) = N(F(x), I): stochastic, with a variance that is not
    learned, as in the authors' Algorithm 1 (paper.md section 6.7 [F:S6, H]). A joint critic T(x, z)
    learns log p(x|z)p(z) / (p(z|x)p*(x)). With x from the data, z_g ~ p(z|x), z ~ p(z), x_g = G(z):

        joint_critic:  -log sigma(T(x_g, z)) - log(1 - sigma(T(x, z_g)))
        decoder:       T(x_g, z) + 0.5 ||z - F(x_g)||^2
        encoder:       0.5 ||z - F(x_g)||^2

    The raw logit, unweighted [P]; the distance, -log p(z|x_g) up to a constant, is summed over
    dimensions. `bound` is the right side of equation (15), -T(x_g, z) + log p(z): a classifier
    stands for its divergence, and it bounds E log p(z) of codes, not the likelihood of images, so
    that there is no `elbo` to export.

    With `posterior=deterministic` the critic gets F(x) itself, and the distance is not halved, as
    the paper has it. Nothing draws the codes of data to the prior then, and the critic tells the
    pairs apart by their codes alone (docs/learning.md).

    With `reconstructor_adversarial` the encoder's loss is ||z - F(x_g)||^2 - T(x, z_g), the
    distance halved as above: it too draws the two joint distributions together. That is ALI
    (Dumoulin et al. 2017) with a reconstruction of codes, another model than VEEGAN.
    """

    players = ("encoder", "decoder", "joint_critic")
    matching = Matching(
        visible="joint ratio",
        latent="joint ratio + code reconstruction",
        decoder="implicit",
        posterior="explicit",
        bound_status="not_available",
    )
    matching_by_posterior = {"deterministic": dataclasses.replace(matching, posterior="implicit")}
    terms = ("bound_ratio_estimate", "code_distance", "critic_generated", "critic_data")
    higher_is_better = ("bound_ratio_estimate",)
    posteriors = ("unit_gaussian", "deterministic")
    options = (
        Option(
            "reconstructor_adversarial",
            False,
            "Let the joint critic move the encoder too, as in bidirectional GANs.",
        ),
    )
    # Chosen by what drew (docs/models/veegan.md): at one rate for all the critic runs away.
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4, "joint_critic": 1e-4}

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z = noise.normal("prior", (self.latent_size,))
        samples = self.generate(z, training)
        q = self.posterior(samples, training)
        distance = squared_distance(z, q.point())
        codes = self.draw_posterior(self.posterior(images, training), noise)
        generated = self.joint_critic(samples, z, training=training)
        data = self.joint_critic(images, codes, training=training)
        match = distance if self.config.posterior == "deterministic" else 0.5 * distance
        adversarial = -data if self.reconstructor_adversarial else 0.0
        losses = {
            "encoder": tf.reduce_mean(match + adversarial),
            "decoder": tf.reduce_mean(generated + match),
            "joint_critic": tf.reduce_mean(as_real(generated) + as_fake(data)),
        }
        report = {
            "bound_ratio_estimate": self.prior().log_prob(z) - generated,
            "code_distance": distance,
            "critic_generated": generated,
            "critic_data": data,
        }
        return losses, report
