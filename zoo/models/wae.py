"""Wasserstein autoencoders: codes that match the prior by kernels, or by a critic."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.losses import as_fake, as_real
from zoo.mmd import gaussian, inverse_multiquadratic, median_variance, squared_mmd
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.critics import CODE_CRITIC_UNITS
from zoo.noise import Noise
from zoo.options import Option

# Times 2 D, the mean squared distance of two draws of N(0, I) [F:S8].
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

PENALTY_WEIGHT = Option(
    "penalty_weight",
    10.0,  # the authors' for MNIST [F:S8]
    "Weight of the distance of codes from the prior, beside the cost of reconstructions.",
    at_least=0,
)
TRANSPORT_COST = Option(
    "transport_cost",
    "squared_l2",
    "Cost of a reconstruction: 0.05 squared_l2, 0.2 l2 or 0.02 l1, over all pixels.",
    choices=("squared_l2", "l2", "l1"),
)


def transport_cost(name: str, images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """c(x, y) of images `[N, H, W, C]` in [0, 1], with the authors' weights [F:S8], `[N]`."""
    if name == "l1":
        return 0.02 * tf.reduce_sum(tf.abs(images - others), axis=[1, 2, 3])
    squares = tf.reduce_sum(tf.square(images - others), axis=[1, 2, 3])
    # The square root has no derivative at zero.
    return 0.05 * squares if name == "squared_l2" else 0.2 * tf.sqrt(squares + 1e-8)


@keras.saving.register_keras_serializable(package="zoo")
class WAEMMD(GenerativeModel):
    """Wasserstein autoencoder with a maximum mean discrepancy (Tolstikhin et al. 2018; Rosca et al.
    2018, eq. 11).

    With x from the data, z^ ~ q(z|x), z ~ p(z), x^ = G(z^), a cost c and a kernel k,

        encoder, decoder:  c(x, x^) + penalty_weight * MMD^2(z^, z)                [F:S8, H]

    where MMD^2 is the unbiased estimate from the whole batch, below 0 at times. Its gradient
    reaches the encoder alone. k is the sum, not the mean, of C / (C + ||a - b||^2) over seven
    scales C; or a Gaussian of the width of the batch's distances.
    """

    players = ("encoder", "decoder")
    matching = Matching(
        visible="conditional, transport cost",
        latent="marginal, MMD",
        decoder="implicit",
        posterior="either",
        bound_status="not_available",
    )
    terms = ("cost", "squared_mmd")
    posteriors = ("deterministic", "gaussian", "implicit")
    options = (
        PENALTY_WEIGHT,
        TRANSPORT_COST,
        Option(
            "mmd_kernel",
            "inverse_multiquadratic",
            "Kernel of the discrepancy of codes and prior.",
            choices=("inverse_multiquadratic", "gaussian"),
        ),
    )
    learning_rates = {"encoder": 1e-3, "decoder": 1e-3}  # [F:S8]
    least_batch_size = 2  # of one row there are no pairs

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The one loss of the equation above."""
        z_hat = self.draw_posterior(self.posterior(images, training), noise)
        z = noise.normal("prior", (self.latent_size,))
        cost = transport_cost(self.transport_cost, images, self.generate(z_hat, training))
        mmd = self._squared_mmd(self.gather(z_hat), self.gather(z))
        loss = tf.reduce_mean(cost) + self.penalty_weight * mmd
        report = {"cost": cost, "squared_mmd": mmd + tf.zeros_like(cost)}
        return {"encoder": loss, "decoder": loss}, report

    def _squared_mmd(self, codes: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        if self.mmd_kernel == "gaussian":
            kernel = gaussian(median_variance(codes, draws))
        else:
            kernel = inverse_multiquadratic([2.0 * self.latent_size * s for s in SCALES])
        return squared_mmd(codes, draws, kernel)


@keras.saving.register_keras_serializable(package="zoo")
class WAEGAN(GenerativeModel):
    """Wasserstein autoencoder with a critic of codes (Tolstikhin et al. 2018; Rosca et al. 2018,
    eq. 11).

    With x from the data, z^ ~ q(z|x), z ~ p(z), x^ = G(z^), a cost c and a code critic C,

        encoder, decoder:  c(x, x^) - penalty_weight * log C(z^)
        code_critic:       -log C(z) - log(1 - C(z^))       prior = real, codes = fake [F:S8, H]

    The second term reaches the encoder alone. With a likelihood in the place of the cost it would
    be the adversarial autoencoder. With `known_prior` the logit is net(z) + log p(z), so that the
    network has only -log q(z) to learn.
    """

    players = ("encoder", "decoder", "code_critic")
    matching = Matching(
        visible="conditional, transport cost",
        latent="marginal, ratio",
        decoder="implicit",
        posterior="either",
        bound_status="not_available",
    )
    terms = ("cost", "marginal_kl_ratio_estimate")
    posteriors = ("deterministic", "gaussian", "implicit")
    options = (
        CODE_CRITIC_UNITS,
        PENALTY_WEIGHT,
        TRANSPORT_COST,
        Option(
            "known_prior",
            False,
            "Add log p(z) to the code critic's logit, which leaves it the codes' density to learn.",
        ),
    )
    learning_rates = {"encoder": 1e-3, "decoder": 1e-3, "code_critic": 5e-4}  # [F:S8]

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        z_hat = self.draw_posterior(self.posterior(images, training), noise)
        z = noise.normal("prior", (self.latent_size,))
        cost = transport_cost(self.transport_cost, images, self.generate(z_hat, training))
        prior_logit, code_logit = self._logit(z), self._logit(z_hat)
        loss = tf.reduce_mean(cost + self.penalty_weight * as_real(code_logit))
        losses = {
            "encoder": loss,
            "decoder": loss,
            "code_critic": tf.reduce_mean(as_real(prior_logit) + as_fake(code_logit)),
        }
        return losses, {"cost": cost, "marginal_kl_ratio_estimate": -code_logit}

    def _logit(self, z: tf.Tensor) -> tf.Tensor:
        logit = self.code_critic(z)
        return logit + self.prior().log_prob(z) if self.known_prior else logit
