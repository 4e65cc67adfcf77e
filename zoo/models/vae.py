"""Variational autoencoder."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel, Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class VAE(GenerativeModel):
    """Variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014; Rosca et al. 2018, eq.
    4).

    Encoder and decoder minimise the negative ELBO, with one draw z = mu + s * eps of q(z|x):

        loss = -log p(x|z) + kl_weight * KL(q(z|x) || p(z))        [H]

    The KL is the closed form 0.5 * sum(mu^2 + s^2 - 1 - 2 log s) for the Gaussian posterior; for
    RealNVP, with z = f(mu + s * eps), it is the single-sample log q(z|x) - log p(z).
    """

    players = ("encoder", "decoder")
    matching = Matching(
        visible="conditional, likelihood",
        latent="conditional, analytic KL",
        decoder="explicit",
        posterior="explicit",
        bound_status="exact",
    )
    matching_by_posterior = {
        "real_nvp": dataclasses.replace(
            matching, latent="conditional, MC KL", bound_status="estimate"
        )
    }
    terms = ("elbo", "log_likelihood", "kl")
    posteriors = ("gaussian", "real_nvp")
    options = (
        Option(
            "kl_weight",
            1.0,
            "Weight of the KL term: 1 gives the ELBO, others a beta-VAE.",
            at_least=0,
        ),
    )
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4}  # chosen [C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The negative ELBO, for both players."""
        q = self.posterior(images, training)
        z = self.draw_posterior(q, noise)
        outputs = self.decoder(z, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        kl = q.kl(z)
        loss = tf.reduce_mean(self.kl_weight * kl - log_likelihood)
        report = {"elbo": log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}
        return {"encoder": loss, "decoder": loss}, report
