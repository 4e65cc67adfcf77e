"""Variational autoencoder."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from zoo.config import ModelConfig
from zoo.errors import UsageError
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.own import OwnNetworks
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class VAE(GenerativeModel):
    """Variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014; Rosca et al. 2018, eq.
    4).

    Encoder and decoder minimise the negative ELBO, with one draw z = mu + s * eps of q(z|x):

        loss = -log p(x|z) + w(t) * KL(q(z|x) || p(z))        [H]

    The KL is the closed form 0.5 * sum(mu^2 + s^2 - 1 - 2 log s) for the Gaussian posterior; for
    RealNVP, with z = f(mu + s * eps), and for the learned prior of `prior=vamp`, it is the
    single-sample log q(z|x) - log p(z). Through log p(z) the gradient then reaches the
    pseudo-inputs and, a second time, the encoder (`zoo.distributions.priors.VampHead`).

    w(t) is `kl_weight`, or with `kl_schedule=linear` grows to it from 0 over the first
    `kl_warmup_steps` steps t. `kl_capacity` leads the mean KL to a value C(t), which grows likewise
    (Burgess et al. 2018; with a constant C the target rate of Alemi et al. 2018):

        loss = -log p(x|z) + kl_capacity_weight * |R - C(t)|,    R the KL's mean over the batch

    What is reported and exported is the ELBO, the KL with weight 1, whatever is trained.
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
    matching_by_prior = {
        "vamp": dataclasses.replace(
            matching, latent="conditional, MC KL to a learned mixture", bound_status="estimate"
        )
    }
    terms = ("elbo", "log_likelihood", "kl")
    posteriors = ("gaussian", "real_nvp")
    priors = ("standard_normal", "vamp")
    options = (
        Option(
            "kl_weight",
            1.0,
            "Weight of the KL term: 1 gives the ELBO, others a beta-VAE.",
            at_least=0,
        ),
        Option(
            "kl_schedule",
            "constant",
            "How the weight of the KL, or its capacity, comes to its value.",
            choices=("constant", "linear"),
        ),
        Option(
            "kl_warmup_steps",
            500,  # chosen: half of the default training
            "Steps over which --kl_schedule=linear grows from 0.",
            above=0,
        ),
        Option(
            "kl_capacity",
            None,
            "Nats that the mean KL is led to, in the place of kl_weight * KL.",
            kind="float",
            at_least=0,
        ),
        Option(
            "kl_capacity_weight",
            1000.0,  # Burgess et al. 2018
            "Weight of the distance of the mean KL from --kl_capacity.",
            above=0,
        ),
    )
    # Chosen [C]; pseudo_inputs: Tomczak & Welling 2018, theirs for all.
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4, "pseudo_inputs": 5e-4}

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The negative ELBO, for all players."""
        q = self.posterior(images, training)
        z = self.draw_posterior(q, noise)
        outputs = self.decoder(z, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        kl = self.prior().kl(q, z)
        loss = self._weighted(kl) - tf.reduce_mean(log_likelihood)
        report = {"elbo": log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}
        return dict.fromkeys(self.players, loss), report

    def _weighted(self, kl: tf.Tensor) -> tf.Tensor:
        """What the loss has of the KLs `[N]`, a scalar, nats."""
        progress = 1.0
        if self.kl_schedule == "linear":
            progress = tf.minimum(tf.cast(self.step.value, tf.float32) / self.kl_warmup_steps, 1.0)
        if self.kl_capacity is None:
            return progress * self.kl_weight * tf.reduce_mean(kl)
        rate = tf.reduce_mean(self.gather(kl))  # the absolute value is not that of the replicas'
        return self.kl_capacity_weight * tf.abs(rate - progress * self.kl_capacity)

    @classmethod
    def resolve(
        cls, config: ModelConfig, image_shape: tuple[int, int, int], own: OwnNetworks | None = None
    ) -> ModelConfig:
        """As every model's; a capacity takes the place of a weight."""
        resolved = super().resolve(config, image_shape, own)
        defaults = {option.name: option.default for option in cls.options}
        for name, applies, needed in (
            ("kl_warmup_steps", resolved.kl_schedule == "linear", "kl_schedule=linear"),
            ("kl_capacity_weight", resolved.kl_capacity is not None, "a kl_capacity"),
        ):
            value = getattr(config, name)
            if not applies and value not in (None, defaults.get(name)):
                raise UsageError(f"{name}={value} applies to {needed} only")
        if resolved.kl_capacity is not None and resolved.kl_weight != 1:
            raise UsageError(
                f"kl_weight={resolved.kl_weight} and kl_capacity={resolved.kl_capacity} exclude "
                "each other: expected one of them; kl_capacity_weight is the capacity's"
            )
        return resolved
