"""What generative models are: networks, distributions, and the tensors of the signatures."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo.config import ModelConfig
from zoo.distributions.likelihoods import Generated, Likelihood
from zoo.distributions.posteriors import PosteriorHead
from zoo.distributions.priors import Prior, PriorHead
from zoo.errors import UsageError
from zoo.models.base import PlayerModel
from zoo.models.door import take_codes
from zoo.models.matching import Matching, with_ex_post_prior
from zoo.networks.critics import CodeCritic, ImageCritic, JointCritic
from zoo.networks.encoder import Encoder
from zoo.networks.own import OwnNetworks, network_defaults
from zoo.networks.own import from_config as networks_from_config
from zoo.noise import Noise, as_noise, batch_rows, row_noise, row_seed_tensor, row_seeds
from zoo.options import Option
from zoo.registry import (
    EX_POST_PRIORS,
    LIKELIHOODS,
    POSTERIORS,
    PRIORS,
    STANDARD_NORMAL,
    follow,
)
from zoo.saved_model.contract import require


class GenerativeModel(PlayerModel):
    """Base of every model of the zoo: what it computes, in training and once it is trained.

    Beside what `PlayerModel` asks for, subclasses state `matching` and, where a posterior or a
    prior changes it, `matching_by_posterior` and `matching_by_prior`, and `posteriors` and
    `priors`, what they accept, their default first. One with an explicit decoder accepts every
    likelihood.

    As a Keras model it takes images and gives reconstructions; without an encoder it gives a sample
    for each image, whatever the image is, of which number i is number i of `sample(n, seed=0)`.

    Args:
        encoder: a Keras model of one's own in the place of the family's: images `[N, H, W, C]` in
            [0, 1] -> features `[N, F]`, to which the posterior's head is added.
        decoder: likewise, z `[N, D]` -> the likelihood's maps `[N, H, W, ...]`.
        image_critic: likewise, images -> the logit `[N, 1]`, or features `[N, F]`, to which a
            linear layer is added. A joint critic takes features.
        **arguments: of `PlayerModel`.

    Raises:
        UsageError: as `PlayerModel`; a network does not fit, or is none of this model.
    """

    critic_batch_norm = True
    code_critic_layers = 3  # hidden ones [P]
    encoder_is_critic = False  # whether its trunk is that of the critics of images
    matching: Matching
    matching_by_posterior: Mapping[str, Matching] = {}
    matching_by_prior: Mapping[str, Matching] = {}
    likelihoods: tuple[str, ...] = ()
    posteriors: tuple[str, ...] = ()
    priors: tuple[str, ...] = (STANDARD_NORMAL,)
    own: OwnNetworks
    _fixed_prior: Prior | None = None

    def __init__(
        self,
        *,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        image_critic: keras.Model | None = None,
        **arguments: Any,
    ):
        given = {"encoder": encoder, "decoder": decoder, "image_critic": image_critic}
        self.own = OwnNetworks(self.registered_name(), self.players, given)
        super().__init__(**arguments)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.likelihoods = tuple(LIKELIHOODS) if cls.matching.decoder == "explicit" else ()

    @classmethod
    def defaults(
        cls, image_shape: tuple[int, int, int], network: str | None, own: OwnNetworks | None
    ) -> dict[str, Any]:
        """Those of its options, of the networks, and of all likelihoods, posteriors and priors that
        it accepts."""
        accepted = cls._accepted()
        tables = {"likelihood": LIKELIHOODS, "posterior": POSTERIORS, "prior": PRIORS}
        parts = [follow(tables[kind][name]) for kind, names in accepted.items() for name in names]
        return {
            **network_defaults(image_shape, network, own),
            **{kind: names[0] for kind, names in accepted.items() if names},
            **{option.name: option.default for part in parts for option in part.options},
            **super().defaults(image_shape, network, own),
        }

    @classmethod
    def _accepted(cls) -> dict[str, tuple[str, ...]]:
        """The distributions that it takes, by setting."""
        return {"likelihood": cls.likelihoods, "posterior": cls.posteriors, "prior": cls.priors}

    @classmethod
    def resolve(
        cls, config: ModelConfig, image_shape: tuple[int, int, int], own: OwnNetworks | None = None
    ) -> ModelConfig:
        """`config` with every None that this model has a default for filled in.

        Raises:
            UsageError: a setting does not apply to this model, or no networks are for such images.
        """
        for name, accepted in cls._accepted().items():
            value = getattr(config, name)
            if value is not None and value not in accepted and value not in EX_POST_PRIORS:
                expected = "one of " + ", ".join(accepted) if accepted else f"no {name} at all"
                raise UsageError(
                    f"{config.model} does not take {name}={value}: expected {expected}"
                )
        resolved = super().resolve(config, image_shape, own)
        if resolved.latent_size is None:
            raise UsageError("latent_size is not known: the decoder does not say what it takes")
        posteriors = _prior_head(resolved).posteriors
        if posteriors and resolved.posterior not in posteriors:
            raise UsageError(
                f"prior={resolved.prior} does not go with posterior={resolved.posterior}: expected "
                f"posterior={' or '.join(posteriors)}"
            )
        return resolved

    @classmethod
    def players_of(cls, config: ModelConfig) -> tuple[str, ...]:
        """With that of the prior, where something of it is learned."""
        player = _prior_head(config).player
        return (*cls.players, player) if player else cls.players

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {**super().get_config(), **self.own.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GenerativeModel:
        """The inverse of `get_config`."""
        return cls(**networks_from_config(config))

    @property
    def latent_size(self) -> int:
        """D, the dimensions of z."""
        size = self.config.latent_size
        assert size is not None  # `resolve` has filled it in
        return size

    # ---- Networks ------------------------------------------------------------------------------

    def _build_networks(self) -> None:
        """One network per player, all but the user's own from one family."""
        shape = self.image_shape
        family = self.own.family(shape, self.config.network)
        size, width = self.latent_size, self.config.width
        self.likelihood_head = self._make_likelihood()
        self.prior_head = self._make_prior()
        channels = self.likelihood_head.output_channels(shape[2])
        as_critic = self.encoder_is_critic and "encoder" not in self.own.given
        trunk = family.image_critic_trunk if as_critic else family.encoder_trunk
        builders = {
            "encoder": lambda: Encoder(trunk(shape, width), self._posterior_head()),
            "decoder": lambda: family.decoder(size, shape, channels, width),
            "image_critic": lambda: ImageCritic(family, shape, width, self.critic_batch_norm),
            "code_critic": lambda: CodeCritic(
                size, self.code_critic_units, width, self.code_critic_layers
            ),
            "joint_critic": lambda: JointCritic(family, shape, size, width),
            self.prior_head.player: lambda: self.prior_head,
        }
        for player in self.players:
            setattr(self, player, builders[player]())

    @property
    def parts(self) -> dict[str, keras.Layer]:
        """What has weights, by name: the networks of the players, and a prior that none trains."""
        return {**super().parts, **({"prior": self.prior_head} if self.prior_head.ex_post else {})}

    def path(self, variable: keras.Variable) -> str:
        """Of a variable of a network, whoever made that."""
        return self.own.path(variable)

    def input_shapes(self, player: str) -> list[tuple[int, ...]]:
        """Of one row of each input of a player's network."""
        images: tuple[int, ...] = self.image_shape
        z: tuple[int, ...] = (self.latent_size,)
        shapes = {"decoder": [z], "code_critic": [z], "joint_critic": [images, z]}
        return [] if player == self.prior_head.player else shapes.get(player, [images])

    def _make_likelihood(self) -> Likelihood:
        """What the decoder's outputs mean."""
        if not self.config.likelihood:
            return Generated()
        likelihood = follow(LIKELIHOODS[self.config.likelihood])
        return likelihood(**self._chosen(likelihood.options))

    def _posterior_head(self) -> PosteriorHead:
        assert self.config.posterior is not None  # what has an encoder has posteriors
        head = follow(POSTERIORS[self.config.posterior])
        return head(self.latent_size, **self._chosen(head.options))

    def _make_prior(self) -> PriorHead:
        head = _prior_head(self.config)
        return head(self.latent_size, self.image_shape, **self._chosen(head.options))

    def _chosen(self, options: tuple[Option, ...]) -> dict[str, Any]:
        return {option.name: getattr(self.config, option.name) for option in options}

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
            UsageError: `count` is no positive number.
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

    @property
    def bound_status(self) -> str:
        """The status of this configuration's bound; see `Matching`."""
        return self.matching_of(self.config.posterior, self.config.prior).bound_status

    @classmethod
    def matching_of(cls, posterior: str | None, prior: str | None = None) -> Matching:
        """What the model matches with this posterior and this prior."""
        by_posterior = cls.matching_by_posterior.get(posterior or "", cls.matching)
        if prior in EX_POST_PRIORS:
            return with_ex_post_prior(by_posterior)
        return cls.matching_by_prior.get(prior or "", by_posterior)

    def _require(self, signature: str) -> None:
        require(self.available_signatures, signature, self.name)

    @property
    def available_signatures(self) -> tuple[str, ...]:
        """The signatures of the export that this model can honour."""
        if "encoder" not in self.players:
            return ("decode", "sample")
        names = ["decode", "encode", "sample_posterior", "sample"]
        if self.bound_status != "not_available":
            names.append("elbo")
        if self.config.posterior == "real_nvp" and not self.config.flow_context:
            names.append("to_base")
        if self.config.prior != STANDARD_NORMAL:
            names += ["sample_prior", "log_prior"]
        return tuple(names)


def _prior_head(config: ModelConfig) -> type[PriorHead]:
    assert config.prior is not None  # `resolve` has filled it in
    return follow((PRIORS | EX_POST_PRIORS)[config.prior])
