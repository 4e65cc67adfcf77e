"""The variational GAN hybrids VGH and VGH++."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from zoo.losses import ADVERSARIAL, as_fake, as_real, l1
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.networks.critics import CODE_CRITIC_UNITS
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class VGH(GenerativeModel):
    """VAE-GAN hybrid (Rosca et al. 2018, section 5.1, Appendix F).

    With x from the data, z^ = E(x), x^ = G(z^), z ~ p(z), and adv -log D or, with
    `adversarial_loss=reverse_kl`, minus the logit:

        encoder:       lambda_E ||x - x^||_1 + adv(C(z^))                         (13)
        decoder:       lambda_G ||x - x^||_1 + adv(D(x^))
        image_critic:  -log D(x) - log(1 - D(x^))                                 (8)
        code_critic:   -log C(z) - log(1 - C(z^))        prior = real, codes = fake (14)

    The encoder gets nothing from the image critic [P + F:S4, H]. The decoder never sees samples
    of the prior. lambda are `encoder_reconstruction_weight` and `decoder_reconstruction_weight`,
    10 (chosen) from {1, 5, 10, 50} [P].
    """

    players = ("encoder", "decoder", "image_critic", "code_critic")
    matching = Matching(
        visible="L1 + marginal ratio on reconstructions",
        latent="marginal, ratio",
        decoder="implicit",
        posterior="either",
        bound_status="not_available",
    )
    terms: tuple[str, ...] = (
        "l1",
        "critic_real",
        "critic_reconstruction",
        "marginal_kl_ratio_estimate",
    )
    posteriors = ("deterministic", "gaussian")
    options: tuple[Option, ...] = (
        CODE_CRITIC_UNITS,
        Option(
            "encoder_reconstruction_weight",
            10.0,
            "Weight of the L1 term in the encoder's loss.",
            at_least=0,
        ),
        Option(
            "decoder_reconstruction_weight",
            10.0,
            "Weight of the L1 term in the decoder's loss.",
            at_least=0,
        ),
        Option(
            "adversarial_loss",
            "non_saturating",
            "What encoder and decoder minimise against the critics.",
            choices=("non_saturating", "reverse_kl"),
        ),
    )
    learning_rates = {  # chosen [C]
        "encoder": 5e-4,
        "decoder": 5e-4,
        "image_critic": 2e-4,
        "code_critic": 2e-4,
    }
    real_weight = 1.0

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        adversarial = ADVERSARIAL[self.adversarial_loss]
        z = noise.normal("prior", (self.latent_size,))
        z_hat = self.draw_posterior(self.posterior(images, training), noise)
        reconstructions = self.generate(z_hat, training)
        distance = l1(images, reconstructions)
        real = self.image_critic(images, training=training)
        rebuilt = self.image_critic(reconstructions, training=training)
        prior_logit, code_logit = self.code_critic(z), self.code_critic(z_hat)
        fool, unmask, report = self._on_samples(z, adversarial, training)
        losses = {
            "encoder": self.encoder_reconstruction_weight * distance + adversarial(code_logit),
            "decoder": self.decoder_reconstruction_weight * distance + adversarial(rebuilt) + fool,
            "image_critic": self.real_weight * as_real(real) + as_fake(rebuilt) + unmask,
            "code_critic": as_real(prior_logit) + as_fake(code_logit),
        }
        report |= {
            "l1": distance,
            "critic_real": real,
            "critic_reconstruction": rebuilt,
            "marginal_kl_ratio_estimate": -code_logit,
        }
        return {player: tf.reduce_mean(loss) for player, loss in losses.items()}, report

    def _on_samples(self, z: tf.Tensor, adversarial: Callable, training: bool) -> tuple:
        """What decoder and image critic add for samples of the prior: nothing in VGH."""
        return 0.0, 0.0, {}


@keras.saving.register_keras_serializable(package="zoo")
class VGHPlusPlus(VGH):
    """VGH++, the model also known as alpha-GAN (Rosca et al. 2017; 2018, Algorithm 5).

    VGH with samples x' = G(z) beside the reconstructions:

        decoder:       ... + adv(D(x'))
        image_critic:  -w log D(x) - log(1 - D(x^)) - log(1 - D(x'))              (9)

    The weight w on real data is `real_weight`: with 2, the default (chosen [M]), D = 1/2 at the
    optimum; with 1, 1/3.
    """

    matching = Matching(
        visible="L1 + marginal ratio on reconstructions and samples",
        latent="marginal, ratio",
        decoder="implicit",
        posterior="either",
        bound_status="not_available",
    )
    terms = (*VGH.terms, "critic_sample")
    options = (
        *VGH.options,
        Option("real_weight", 2.0, "Weight of real data in the image critic's loss.", above=0),
    )

    def _on_samples(self, z: tf.Tensor, adversarial: Callable, training: bool) -> tuple:
        """Both terms for x' = G(z)."""
        logit = self.image_critic(self.generate(z, training), training=training)
        return adversarial(logit), as_fake(logit), {"critic_sample": logit}
