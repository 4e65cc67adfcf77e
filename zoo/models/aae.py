"""Adversarial autoencoder."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.critics import CODE_CRITIC_UNITS
from zoo.noise import Noise


@keras.saving.register_keras_serializable(package="zoo")
class AAE(GenerativeModel):
    """Adversarial autoencoder (Makhzani et al. 2016; Rosca et al. 2018, section 4.2).

    The VAE with the density ratio of a code critic C in the place of its KL, so that the pair
    isolates the two ways of matching the latent space. With x from the data, z^ ~ q(z|x), z ~
    p(z):

        encoder:      -log p(x|z^) - log C(z^)
        decoder:      -log p(x|z^)
        code_critic:  -log C(z) - log(1 - C(z^))            prior = real, codes = fake [H]

    No coefficients [P]. `-c(z^)`, the negative logit, estimates KL(q(z)||p(z)); reconstruction
    minus it is ELBO + I(x;z), *not* a lower bound. With a Gaussian posterior the true ELBO is at
    hand and is exported.
    """

    players = ("encoder", "decoder", "code_critic")
    # Of the Gaussian posterior, whose KL has a closed form whatever is trained.
    matching = Matching(
        visible="conditional, likelihood",
        latent="marginal, ratio",
        decoder="explicit",
        posterior="explicit",
        bound_status="exact",
    )
    matching_by_posterior = dict.fromkeys(
        ("deterministic", "implicit"),
        dataclasses.replace(matching, posterior="implicit", bound_status="ratio_estimate"),
    )
    terms = ("log_likelihood", "marginal_kl_ratio_estimate")
    posteriors = ("gaussian", "deterministic", "implicit")
    options = (CODE_CRITIC_UNITS,)
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4, "code_critic": 2e-4}  # chosen [C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z_hat = self.draw_posterior(self.posterior(images, training), noise)
        z = noise.normal("prior", (self.latent_size,))
        outputs = self.decoder(z_hat, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        prior_logit, code_logit = self.code_critic(z), self.code_critic(z_hat)
        reconstruction = tf.reduce_mean(-log_likelihood)
        losses = {
            "encoder": reconstruction + tf.reduce_mean(as_real(code_logit)),
            "decoder": reconstruction,
            "code_critic": tf.reduce_mean(as_real(prior_logit) + as_fake(code_logit)),
        }
        report = {"log_likelihood": log_likelihood, "marginal_kl_ratio_estimate": -code_logit}
        return losses, report

    def kl_ratio_estimate(self, images: tf.Tensor, z: tf.Tensor, noise: Noise) -> tf.Tensor:
        """`-c(z)`: one draw's part of the estimate of KL(q(z)||p(z)) `[N]`, nats."""
        return -self.code_critic(z)
