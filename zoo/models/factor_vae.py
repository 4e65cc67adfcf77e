"""FactorVAE."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.critics import CODE_CRITIC_UNITS
from zoo.noise import Noise
from zoo.options import Option


def permute_dimensions(codes: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Codes `[N, D]` of which each dimension is put in the order of its own keys `[N, D]`: each row
    a draw of the product of the marginals."""
    order = tf.argsort(tf.transpose(keys), stable=True)
    return tf.transpose(tf.gather(tf.transpose(codes), order, batch_dims=1))


@keras.saving.register_keras_serializable(package="zoo")
class FactorVAE(GenerativeModel):
    """FactorVAE (Kim & Mnih 2018).

    The VAE with a penalty on the total correlation of its codes, KL(q(z) || prod_j q(z_j)), by the
    density ratio of a code critic C. With x from the data, z^ ~ q(z|x), and z_perm the codes of the
    whole batch, each dimension permuted by itself,

        encoder, decoder:  -log p(x|z^) + KL(q(z|x) || p(z)) - total_correlation_weight * c(z^)
        code_critic:       -0.5 [log C(z_perm) + log(1 - C(z^))]    permuted = real, codes = fake

    [F, H]. `-c(z^)`, the negative logit, estimates the total correlation; it reaches the encoder
    alone, and the critic's loss reaches no codes. The paper permutes those of a second batch, the
    zoo those of the same one (chosen), as disentanglement_lib does.
    """

    players = ("encoder", "decoder", "code_critic")
    matching = Matching(
        visible="conditional, likelihood",
        latent="conditional, analytic KL + total correlation, ratio",
        decoder="explicit",
        posterior="explicit",
        bound_status="exact",
    )
    terms = ("elbo", "log_likelihood", "kl", "total_correlation_ratio_estimate")
    posteriors = ("gaussian",)
    options = (
        CODE_CRITIC_UNITS,
        Option(
            "total_correlation_weight",
            6.4,  # of the authors' for dSprites and CelebA [F]
            "Weight of the total correlation of codes beside the ELBO.",
            at_least=0,
        ),
    )
    # The VAE's (chosen), and the critic's of the authors.
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4, "code_critic": 1e-4}
    least_batch_size = 2  # of one code there is nothing to permute
    code_critic_layers = 6

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        q = self.posterior(images, training)
        z = self.draw_posterior(q, noise)
        outputs = self.decoder(z, training=training)
        log_likelihood = self.likelihood_head.training_log_prob(outputs, images, noise)
        kl = q.kl(z)
        keys = noise.uniform("permutation", (self.latent_size,))
        # Every replica judges those of all: the rows of a permutation are no replica's own.
        permuted = permute_dimensions(tf.stop_gradient(self.gather(z)), self.gather(keys))
        logit, permuted_logit = self.code_critic(z), self.code_critic(permuted)
        loss = tf.reduce_mean(kl - log_likelihood - self.total_correlation_weight * logit)
        unmask = tf.reduce_mean(as_real(permuted_logit)) + tf.reduce_mean(as_fake(logit))
        report = {
            "elbo": log_likelihood - kl,
            "log_likelihood": log_likelihood,
            "kl": kl,
            "total_correlation_ratio_estimate": -logit,
        }
        return {"encoder": loss, "decoder": loss, "code_critic": 0.5 * unmask}, report
