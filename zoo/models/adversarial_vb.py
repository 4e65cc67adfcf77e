"""Adversarial variational Bayes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.distributions.code_distributions import log_ratio_to_prior
from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option

MOMENT_DRAWS = 8  # chosen


@keras.saving.register_keras_serializable(package="zoo")
class AdversarialVB(GenerativeModel):
    """Adversarial variational Bayes (Mescheder et al. 2017; Rosca et al. 2018, Appendix J).

    The posterior is implicit, z_q = E(x, eps); a joint critic T(x, z) learns log q(z|x)/p(z)
    (paper.md section 6.6 [F:S7, H]). With z_p ~ p(z):

        joint_critic:     -log sigma(T(x, z_q)) - log(1 - sigma(T(x, z_p)))
        encoder, decoder: T(x, z_q) - log p(x|z_q)

    `adaptive_contrast` compares with N(m(x), s(x)^2), the moments of q(z|x), instead of the
    prior: the critic sees (z_q - m)/s against N(0, I), and KL = T + log N(z_q; m, s^2) - log
    p(z_q), the moments without gradient. They are estimated from 8 further draws (chosen), as the
    encoder here gives no closed form.
    """

    players = ("encoder", "decoder", "joint_critic")
    matching = Matching(
        visible="conditional, likelihood",
        latent="conditional, one joint ratio",
        decoder="explicit",
        posterior="implicit",
        bound_status="ratio_estimate",
    )
    terms = ("elbo_ratio_estimate", "log_likelihood", "kl_ratio_estimate")
    posteriors = ("implicit",)
    options = (
        Option(
            "adaptive_contrast",
            False,
            "Compare q(z|x) with a Gaussian of its moments instead of the prior.",
        ),
    )
    learning_rates = {"encoder": 1e-4, "decoder": 1e-4, "joint_critic": 2e-4}  # chosen [C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        q = self.posterior(images, training)
        z_q = self.draw_posterior(q, noise)
        outputs = self.decoder(z_q, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        logit, kl = self._contrast(q, images, z_q, noise, training)
        z_p = noise.normal("prior", (self.latent_size,))
        prior_logit = self.joint_critic(images, z_p, training=training)
        loss = tf.reduce_mean(kl - log_likelihood)
        losses = {
            "encoder": loss,
            "decoder": loss,
            "joint_critic": tf.reduce_mean(as_real(logit) + as_fake(prior_logit)),
        }
        report = {
            "elbo_ratio_estimate": log_likelihood - kl,
            "log_likelihood": log_likelihood,
            "kl_ratio_estimate": kl,
        }
        return losses, report

    def _contrast(
        self, q: Any, images: tf.Tensor, z: tf.Tensor, noise: Noise, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The joint critic's logit at the draw `z`, and the KL that follows from it, both `[N]`."""
        if not self.adaptive_contrast:
            logit = self.joint_critic(images, z, training=training)
            return logit, logit
        size = (self.posterior_noise_size,)
        draws = tf.stack(
            [q.reparameterize(noise.normal(f"moments {i}", size)) for i in range(MOMENT_DRAWS)]
        )
        mean, variance = tf.nn.moments(tf.stop_gradient(draws), axes=[0])
        stddev = tf.sqrt(variance + 1e-6)
        logit = self.joint_critic(images, (z - mean) / stddev, training=training)
        return logit, logit + log_ratio_to_prior(z, z, mean, stddev)

    def kl_ratio_estimate(self, images: tf.Tensor, z: tf.Tensor, noise: Noise) -> tf.Tensor:
        """The critic's estimate of KL(q(z|x)||p(z)) at the draw `z` `[N]`, nats."""
        return self._contrast(self.posterior(images), images, z, noise, training=False)[1]
