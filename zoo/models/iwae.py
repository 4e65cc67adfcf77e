"""Importance-weighted autoencoder."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from zoo.distributions.code_distributions import log_normal
from zoo.models.base import Losses
from zoo.models.inference import GenerativeModel
from zoo.models.matching import Matching
from zoo.noise import Noise
from zoo.options import Option


@keras.saving.register_keras_serializable(package="zoo")
class IWAE(GenerativeModel):
    """Importance-weighted autoencoder (Burda et al. 2016), its encoder by one of three gradients.

    With k draws z_i = mu + s * eps_i of q(z|x) for each image,

        log w_i = log p(x|z_i) + log p(z_i) - log q(z_i|x),    L_k = log 1/k sum_i w_i,

    a lower bound of log p(x) that is the ELBO for k = 1 and never falls with k in expectation. The
    decoder minimises -L_k. So does the encoder with `gradient=iwae`; otherwise, with the weights
    w~_i = w_i / sum_j w_j, it minimises

        dreg:  -sum_i stop(w~_i^2) * path_i    doubly reparameterised (Tucker et al. 2019)
        stl:   -sum_i stop(w~_i) * path_i      sticking the landing (Roeder et al. 2017)

    where path_i is log w_i with mu and s of the *density* q(z_i|x) held fixed, so that the gradient
    reaches the encoder through the draw alone. `dreg` has the expectation of `iwae` and less
    variance; `stl` is biased for k > 1. The value of either loss means nothing: L_k is the term
    `iwae`. `elbo` is the mean of log w_i, and `effective_draws` is 1 / sum_i w~_i^2, from 1 to k.

    The exported `elbo` stays the ELBO, of one draw and with the KL in closed form.
    """

    players = ("encoder", "decoder")
    matching = Matching(
        visible="conditional, likelihood of k draws",
        latent="conditional, weights of k draws",
        decoder="explicit",
        posterior="explicit",
        bound_status="exact",
    )
    terms = ("iwae", "elbo", "log_likelihood", "kl", "effective_draws")
    higher_is_better = ("iwae", "elbo", "log_likelihood", "effective_draws")
    posteriors = ("gaussian",)
    options = (
        Option(
            "draws",
            5,  # chosen, of the paper's 1, 5 and 50
            "Draws of z per image in the bound that is trained.",
            above=0,
        ),
        Option(
            "gradient",
            "iwae",
            "Gradient of the encoder: that of the bound, doubly reparameterised, or sticking the "
            "landing.",
            choices=("iwae", "dreg", "stl"),
        ),
    )
    learning_rates = {"encoder": 5e-4, "decoder": 5e-4}  # chosen: the VAE's

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The losses of the equations above."""
        q = self.posterior(images, training)
        eps = noise.normal("posterior", (self.draws, self.posterior_noise_size))
        z = q.reparameterize(tf.transpose(eps, [1, 0, 2]))  # [k, N, D]
        log_likelihood = self._log_likelihood(z, images, noise, training)
        log_prior = self.prior().log_prob(z)
        kl = q.draw_log_prob(z) - log_prior
        log_w = log_likelihood - kl
        bound = tf.reduce_logsumexp(log_w, axis=0) - math.log(self.draws)
        weights = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
        encoder = decoder = tf.reduce_mean(-bound)
        if self.gradient != "iwae":
            density = log_normal(z, *map(tf.stop_gradient, q.moments().values()))
            factors = tf.square(weights) if self.gradient == "dreg" else weights
            path = tf.reduce_sum(factors * (log_likelihood + log_prior - density), axis=0)
            encoder = tf.reduce_mean(-path)
        report = {
            "iwae": bound,
            "elbo": tf.reduce_mean(log_w, axis=0),
            "log_likelihood": tf.reduce_mean(log_likelihood, axis=0),
            "kl": tf.reduce_mean(kl, axis=0),
            "effective_draws": 1.0 / tf.reduce_sum(tf.square(weights), axis=0),
        }
        return {"encoder": encoder, "decoder": decoder}, report

    def _log_likelihood(
        self, z: tf.Tensor, images: tf.Tensor, noise: Noise, training: bool
    ) -> tf.Tensor:
        """log p(x|z_i) `[k, N]`, nats, of codes `[k, N, D]`, in one pass of the decoder."""
        outputs = self.decoder(tf.reshape(z, [-1, z.shape[-1]]), training=training)
        of_draws = tf.split(outputs, self.draws)
        log_prob = self.likelihood_head.training_log_prob
        return tf.stack([log_prob(part, images, noise) for part in of_draws])
