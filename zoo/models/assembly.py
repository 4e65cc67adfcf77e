"""What generative models are made of: networks, distributions, and what they match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from zoo.config import ModelConfig
from zoo.distributions.likelihoods import Generated, Likelihood
from zoo.distributions.posteriors import PosteriorHead
from zoo.distributions.priors import Prior, PriorHead
from zoo.errors import UsageError
from zoo.models.base import PlayerModel
from zoo.models.matching import Matching, with_ex_post_prior
from zoo.networks.critics import CodeCritic, ImageCritic, JointCritic
from zoo.networks.encoder import Encoder
from zoo.networks.own import OwnNetworks, network_defaults
from zoo.networks.own import from_config as networks_from_config
from zoo.options import Option
from zoo.registry import (
    EX_POST_PRIORS,
    LIKELIHOODS,
    POSTERIORS,
    PRIORS,
    STANDARD_NORMAL,
    follow,
)

_PARTS = {"likelihood": LIKELIHOODS, "posterior": POSTERIORS, "prior": PRIORS}


class AssembledModel(PlayerModel):
    """A generative model, put together from networks and distributions as its settings say.

    Beside what `PlayerModel` asks for, subclasses state `matching` and, where a posterior or a
    prior changes it, `matching_by_posterior` and `matching_by_prior`, and `posteriors` and
    `priors`, what they accept, their default first. One with an explicit decoder accepts every
    likelihood.

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
        if hasattr(cls, "matching"):  # the bases below the models have none
            explicit = cls.matching.decoder == "explicit"
            cls.likelihoods = tuple(LIKELIHOODS) if explicit else ()

    @classmethod
    def defaults(
        cls, image_shape: tuple[int, int, int], network: str | None, own: OwnNetworks | None
    ) -> dict[str, Any]:
        """Those of its options, of the networks, and of all likelihoods, posteriors and priors that
        it accepts."""
        accepted = cls._accepted()
        parts = [follow(_PARTS[kind][name]) for kind, names in accepted.items() for name in names]
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
            UsageError: a setting does not apply to this model or to the distributions that are
                chosen, or no networks are for such images.
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
        cls._check_parts(config, resolved)
        posteriors = _prior_head(resolved).posteriors
        if posteriors and resolved.posterior not in posteriors:
            raise UsageError(
                f"prior={resolved.prior} does not go with posterior={resolved.posterior}: expected "
                f"posterior={' or '.join(posteriors)}"
            )
        return resolved

    @classmethod
    def _check_parts(cls, config: ModelConfig, resolved: ModelConfig) -> None:
        """Refuses what is set for a distribution other than the one that is chosen. Its default
        passes: a configuration that is resolved has those of all."""
        for kind, names in cls._accepted().items():
            chosen = getattr(resolved, kind)
            for name in names if chosen in names else ():  # a fitted prior has run with another
                for option in follow(_PARTS[kind][name]).options if name != chosen else ():
                    value = getattr(config, option.name)
                    if value not in (None, option.default):
                        raise UsageError(
                            f"{option.name}={value} applies to {kind}={name} only, not to {chosen}"
                        )

    @classmethod
    def players_of(cls, config: ModelConfig) -> tuple[str, ...]:
        """With that of the prior, where something of it is learned."""
        player = _prior_head(config).player
        return (*cls.players, player) if player else cls.players

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {**super().get_config(), **self.own.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AssembledModel:
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
            setattr(self, player, self._wrapped(player, builders[player]()))

    def _wrapped(self, player: str, network: Any) -> Any:
        """The network of a player, or what a model has around it."""
        return network

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


def _prior_head(config: ModelConfig) -> type[PriorHead]:
    assert config.prior is not None  # `resolve` has filled it in
    return follow((PRIORS | EX_POST_PRIORS)[config.prior])
