"""What generative models compute, in training and once they are trained: the tensors of the
signatures."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from zoo.distributions.priors import Prior
from zoo.errors import UsageError
from zoo.models.assembly import AssembledModel
from zoo.models.door import take_codes
from zoo.noise import Noise, as_noise, batch_rows, row_noise, row_seed_tensor, row_seeds
from zoo.registry import NO_PRIOR, STANDARD_NORMAL
from zoo.saved_model.contract import require


class GenerativeModel(AssembledModel):
    """Base of every model; `PlayerModel` and `AssembledModel` tell what a subclass states.

    As a Keras model it takes images and gives reconstructions; without an encoder it gives a sample
    for each image, whatever the image is, of which number i is number i of `sample(n, seed=0)`.
    """

    # ---- As a Keras model ----------------------------------------------------------------------

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Reconstructions `[N, H, W, C]` from the point codes of images, or samples; always in
        inference mode."""
        if "encoder" in self.players:
            return self.decode(self.encode(images)["z"])["images"]
        return self.sample(batch_rows(images))["images"]

    def predict_step(self, data: Any) -> tf.Tensor:
        """`call`, or the samples of seeds `[N]`."""
        rows, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        if rows.shape.rank == 1:
            return self.sample(seed=row_noise(rows))["images"]
        return self(rows)

    def _rows_to_predict(self, images: Any) -> Any:
        """The images, or where there is no encoder a seed for each, which no batching changes."""
        if "encoder" in self.players:
            return images
        if not isinstance(images, tf.data.Dataset):
            return row_seeds(0, 0, len(images))

        def seeds(first: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            after = first + tf.shape(batch)[0]
            return after, row_seed_tensor(0, first, after - first)

        return images.scan(tf.constant(0), seeds)

    # ---- Distributions and the tensors of the signatures ---------------------------------------

    # What is random takes `seed`, the seed of an evaluation, of which each row has its own, or a
    # `Noise`. A batch of any size gives row i the same.

    def prior(self) -> Prior:
        """p(z), as it is with the weights as they are."""
        return self._fixed_prior or self.prior_head.distribution(self.posterior)

    @contextlib.contextmanager
    def fixed_prior(self, prior: Prior) -> Iterator[None]:
        """`prior()` is this one meanwhile: a graph that is traced then has it as it is now."""
        before, self._fixed_prior = self._fixed_prior, prior
        try:
            yield
        finally:
            self._fixed_prior = before

    def posterior(self, images: tf.Tensor, training: bool = False) -> Any:
        """q(z|x) of images `[N, H, W, C]`, event shape `[D]`."""
        return self.encoder.posterior(images, training=training)

    def likelihood(self, z: tf.Tensor, training: bool = False) -> Any:
        """p(x|z) of codes `[N, D]`, event shape `[H, W, C]`."""
        return self.likelihood_head.distribution(self.decoder(z, training=training))

    def generate(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The images `[N, H, W, C]` that codes decode to."""
        return self.parameters(z, training)["images"]

    def parameters(self, z: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Those images, and the other parameters of p(x|z)."""
        return self.likelihood_head.parameters(self.decoder(z, training=training))

    @property
    def posterior_noise_size(self) -> int:
        """Standard normals that one draw of q(z|x) takes."""
        return self.encoder.head.noise_size

    def decode(self, z: tf.Tensor) -> dict[str, tf.Tensor]:
        """The mean of p(x|z) as `images [N, H, W, C]`, and the likelihood's other parameters."""
        return self.parameters(take_codes(z, self.latent_size))

    def encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The point code `z [N, D]`; `mean` and `stddev` where the posterior has them, `base_mean`
        and `base_stddev` where it carries such a Gaussian through a flow."""
        self._require("encode")
        q = self.posterior(self.take_images(images))
        return {"z": q.point(), **q.moments()}

    def draw_posterior(self, q: Any, noise: Noise) -> tf.Tensor:
        """One reparameterised draw `[N, D]` of the posterior `q`."""
        return q.reparameterize(noise.normal("posterior", (self.posterior_noise_size,)))

    def sample_posterior(self, images: tf.Tensor, seed: int | Noise = 0) -> dict[str, tf.Tensor]:
        """`z [N, D]`, a draw of q(z|x)."""
        self._require("sample_posterior")
        images = self.take_images(images)
        noise = as_noise(seed, batch_rows(images))
        return {"z": self.draw_posterior(self.posterior(images), noise)}

    def to_base(self, z: tf.Tensor) -> dict[str, tf.Tensor]:
        """`base [N, D]`, the codes carried back through the flow that all images share, and
        `log_det [N]`, log|det d base / d z|: log q(z|x) = log N(base; base_mean, base_stddev) +
        log_det."""
        self._require("to_base")
        base, log_det = self.encoder.head.to_base(take_codes(z, self.latent_size))
        return {"base": base, "log_det": log_det}

    def sample(
        self, count: int | tf.Tensor | None = None, seed: int | Noise = 0
    ) -> dict[str, tf.Tensor]:
        """`count` codes `z [N, D]` from the prior and the `images [N, H, W, C]` they decode to; as
        many as a `Noise` has rows.

        Raises:
            UsageError: `count` is no positive number, or the model has no prior.
        """
        z = self.sample_prior(count, seed)["z"]
        return {"images": self.decode(z)["images"], "z": z}

    def sample_prior(
        self, count: int | tf.Tensor | None = None, seed: int | Noise = 0
    ) -> dict[str, tf.Tensor]:
        """The codes of `sample` alone."""
        counted = tf.is_tensor(count) or (isinstance(count, numbers.Integral) and int(count) > 0)
        if isinstance(seed, numbers.Integral) and not counted:
            raise UsageError(f"count={count!r} is not accepted: expected a positive number")
        return {"z": self.prior().draw(as_noise(seed, count))}

    def log_prior(self, z: tf.Tensor) -> dict[str, tf.Tensor]:
        """`log_prior [N]`, log p(z) of codes `[N, D]`, nats."""
        self._require("log_prior")
        return {"log_prior": self.prior().log_prob(take_codes(z, self.latent_size))}

    def elbo(
        self, images: tf.Tensor, seed: int | Noise = 0, portable: bool = False
    ) -> dict[str, tf.Tensor]:
        """The bound `[N]` and its parts, `log_likelihood` and `kl`, nats, from one draw of q(z|x).

        The bound is called `elbo`, or `elbo_ratio_estimate` where a critic stands for its
        divergence. `portable` keeps to operations that every runtime has.
        """
        self._require("elbo")
        images = self.take_images(images)
        noise = as_noise(seed, batch_rows(images))
        q = self.posterior(images)
        z = self.draw_posterior(q, noise)
        log_prob = (
            self.likelihood_head.portable_log_prob if portable else self.likelihood_head.log_prob
        )
        log_likelihood = log_prob(self.decoder(z, training=False), images)
        ratio = self.bound_status == "ratio_estimate"
        kl = self.kl_ratio_estimate(images, z, noise) if ratio else self.prior().kl(q, z)
        name = "elbo_ratio_estimate" if ratio else "elbo"
        return {name: log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}

    def kl_ratio_estimate(self, images: tf.Tensor, z: tf.Tensor, noise: Noise) -> tf.Tensor:
        """What a critic estimates in the place of the KL at the draw `z` of q(z|x) `[N]`, nats."""
        raise NotImplementedError

    def _require(self, signature: str) -> None:
        require(self.available_signatures, signature, self.name)

    @property
    def available_signatures(self) -> tuple[str, ...]:
        """The signatures of the export that this model can honour."""
        if "encoder" not in self.players:
            return ("decode", "sample")
        names = ["decode", "encode", "sample_posterior"]
        if self.config.prior != NO_PRIOR:
            names.append("sample")
        if self.bound_status != "not_available":
            names.append("elbo")
        if self.config.posterior == "real_nvp" and not self.config.flow_context:
            names.append("to_base")
        if self.config.prior not in (STANDARD_NORMAL, NO_PRIOR):
            names += ["sample_prior", *(["log_prior"] if self.prior_head.exact else [])]
        return tuple(names)
