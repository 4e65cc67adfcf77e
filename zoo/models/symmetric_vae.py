"""Symmetric variational autoencoder."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class SymmetricVAE(GenerativeModel):
    """Symmetric variational autoencoder, sVAE-r (Pu et al. 2017; Chen et al. 2018) [R, M].

    It minimises KL(q||p) + KL(p||q) of p = p(z)p(x|z) and q = p*(x)q(z|x) by a joint critic
    T(x, z), which learns log p/q and is positive for generated pairs as VEEGAN's. With x from the
    data, z^ ~ q(z|x), z ~ p(z), x' = G(z), the mean of p(x|z) in the place of a draw (chosen):

        joint_critic:      -log sigma(T(x', z)) - log(1 - sigma(T(x, z^)))
        encoder, decoder:  T(x', z) - T(x, z^) - w * [log p(x|z^) + log q(z|x')]

    Raw logits, w the `likelihood_weight`; without the bracket it is sVAE. The first logit reaches
    the decoder alone, the second the encoder alone; the log-likelihoods reach both, that of images
    the encoder through z^, that of codes the decoder through x'. T's own dependence on the players
    is dropped.

    No loss has a KL to the prior, but the Gaussian posterior has it in closed form: the true ELBO
    is at hand and is exported. The mean of T(x, z^), ELBO + H(p*), is none.
    """

    players = ("encoder", "decoder", "joint_critic")
    matching = Matching(
        visible="joint ratio, both KLs + likelihood",
        latent="joint ratio, both KLs + code likelihood",
        decoder="explicit",
        posterior="explicit",
        bound_status="exact",
    )
    terms = (
        "elbo",
        "log_likelihood",
        "kl",
        "code_log_likelihood",
        "critic_generated",
        "critic_data",
    )
    higher_is_better = ("elbo", "log_likelihood", "code_log_likelihood")
    posteriors = ("gaussian",)
    options = (
        Option(
            "likelihood_weight",
            0.1,  # chosen [C]
            "Weight of the log-likelihoods of images and of codes beside the joint critic.",
            at_least=0,
        ),
    )
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4, "joint_critic": 5e-4}  # chosen [C]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        q = self.posterior(images, training)
        z_hat = self.draw_posterior(q, noise)
        outputs = self.decoder(z_hat, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        z = noise.normal("prior", (self.latent_size,))
        samples = self.generate(z, training)
        code_log_likelihood = self.posterior(samples, training).log_prob(z)
        generated = self.joint_critic(samples, z, training=training)
        data = self.joint_critic(images, z_hat, training=training)
        likelihoods = log_likelihood + code_log_likelihood
        loss = tf.reduce_mean(generated - data - self.likelihood_weight * likelihoods)
        losses = {
            "encoder": loss,
            "decoder": loss,
            "joint_critic": tf.reduce_mean(as_real(generated) + as_fake(data)),
        }
        kl = q.kl(z_hat)
        report = {
            "elbo": log_likelihood - kl,
            "log_likelihood": log_likelihood,
            "kl": kl,
            "code_log_likelihood": code_log_likelihood,
            "critic_generated": generated,
            "critic_data": data,
        }
        return losses, report
