"""Networks of the user's own, in the place of those of a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from zoo import networks
from zoo.errors import UsageError, reason
from zoo.networks import layers

# The players that each part is a part of.
PARTS = {
    "encoder": {"encoder"},
    "decoder": {"decoder"},
    "image_critic": {"image_critic", "joint_critic"},
}


class OwnNetworks:
    """Keras models that were given for parts of a model of the zoo.

    Args:
        model: the name of that model.
        players: its players.
        given: the Keras models by part; None stands for the family's network.

    Raises:
        UsageError: one is no Keras model, or the model has no such part.
    """

    def __init__(self, model: str, players: Sequence[str], given: Mapping[str, Any]):
        self.given = {part: network for part, network in given.items() if network is not None}
        parts = [part for part, of in PARTS.items() if not of.isdisjoint(players)]
        for part, network in self.given.items():
            if part not in parts:
                raise UsageError(f"{model} has no {part}: expected networks for {', '.join(parts)}")
            if not isinstance(network, keras.Model):
                raise UsageError(
                    f"{part} is of the type {type(network).__name__}: expected a Keras model"
                )
        self.complete = len(self.given) == len(parts)
        # One number is the logit itself for a critic of images; one of pairs joins features.
        self._logit = "image_critic" in players

    @property
    def latent_size(self) -> int | None:
        """D of a decoder that says of what shape its input is."""
        decoder = self.given.get("decoder")
        shape = getattr(decoder, "input_shape", None) if decoder and decoder.built else None
        return shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None

    def family(self, image_shape: tuple[int, int, int], name: str | None) -> networks.NetworkFamily:
        """The networks given, and for all other parts those of a family; see `networks.family`."""
        rest = None if self.complete else networks.family(image_shape, name)
        return _WithOwn(self.given, rest, self._logit) if self.given or rest is None else rest

    def path(self, variable: keras.Variable) -> str:
        """Of a variable, for checkpoints: that of a network given is its layer and its name alone,
        since Keras puts other layers before them where it makes the network anew."""
        mine = any(variable is v for network in self.given.values() for v in network.variables)
        return "/".join(variable.path.split("/")[-2:]) if mine else variable.path

    def get_config(self) -> dict[str, Any]:
        """The networks as JSON, for `from_config`; without their weights."""
        return self.describe(self.given)

    @staticmethod
    def describe(networks: Mapping[str, keras.Model]) -> dict[str, Any]:
        """Networks by part as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {part: serialize(network) for part, network in networks.items()}


def from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with new networks in the place of what `OwnNetworks.get_config` wrote of them."""
    made = {
        part: keras.saving.deserialize_keras_object(config[part])
        for part in PARTS
        if part in config
    }
    return {**config, **made}


def network_defaults(
    image_shape: tuple[int, int, int], network: str | None, own: OwnNetworks | None
) -> dict[str, Any]:
    """The family and D; no family where all networks are the user's own, whose decoder says D."""
    size = own.latent_size if own else None
    if own and own.complete:
        return {"latent_size": size}
    name = networks.family_name(image_shape, network)
    family = networks.family(image_shape, name)
    return {"network": name, "latent_size": size or family.DEFAULT_LATENT_SIZE}


class _WithOwn:
    """A family of networks in which some are given."""

    def __init__(self, given: Mapping[str, keras.Model], rest: Any, logit: bool):
        self.given, self.rest, self.logit = given, rest, logit

    def decoder(
        self, latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
    ) -> keras.Model:
        """z `[N, D]` -> `channels` maps `[N, H, W, channels]`."""
        if "decoder" not in self.given:
            return self.rest.decoder(latent_size, image_shape, channels, width)
        maps = (*image_shape[:2], channels)
        return _fitted("decoder", self.given["decoder"], (latent_size,), maps)

    def encoder_trunk(self, image_shape: tuple[int, int, int], width: float) -> keras.Model:
        """Images -> features `[N, F]`."""
        if "encoder" not in self.given:
            return self.rest.encoder_trunk(image_shape, width)
        return _fitted("encoder", self.given["encoder"], image_shape, ("F",))

    def image_critic_trunk(
        self, image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
    ) -> keras.Model:
        """Images -> features `[N, F]`, or the logit `[N, 1]`."""
        if "image_critic" not in self.given:
            return self.rest.image_critic_trunk(image_shape, width, batch_norm)
        trunk = _fitted("image_critic", self.given["image_critic"], image_shape, ("F",))
        if trunk.output_shape[-1] == 1 and not self.logit:
            raise UsageError(
                "image_critic gives [N, 1]: expected features [N, F], F > 1, which the joint "
                "critic joins to a code"
            )
        return trunk

    def image_critic_head(self) -> keras.layers.Layer:
        """One logit."""
        if "image_critic" not in self.given:
            return self.rest.image_critic_head()
        return LogitHead()


@keras.saving.register_keras_serializable(package="zoo")
class LogitHead(keras.layers.Layer):
    """A linear layer from features `[N, F]` to one logit `[N, 1]`; a logit stays as it is."""

    def build(self, shape: Any) -> None:
        """Makes the layer."""
        self.linear = keras.layers.Identity() if shape[-1] == 1 else layers.dense(1, use_bias=False)
        self.linear.build(shape)

    def call(self, features: Any) -> Any:
        """The logit."""
        return self.linear(features)


def _fitted(
    part: str, network: keras.Model, inputs: tuple[int, ...], outputs: tuple[int | str, ...]
) -> keras.Model:
    """The network behind an input of its shape, so that what it gives is known to be of `outputs`,
    where "F" stands for any number.

    Raises:
        UsageError: it does not take the one, or does not give the other.
    """
    what = f"{part} ({network.name})"
    wanted = f"{_text(inputs)} -> {_text(outputs)}"
    x = keras.Input(inputs)
    shape = getattr(network, "input_shape", None) if network.built else None
    if isinstance(shape, tuple) and not _fits(shape, inputs):
        raise UsageError(f"{what} takes {_text(shape[1:])}: expected a network {wanted}")
    try:
        y = network(x)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{what} does not take {_text(inputs)}: {reason(error)}; expected a network {wanted}"
        ) from error
    shape = getattr(y, "shape", None)
    if shape is None or not _fits(shape, outputs):
        given = _text(shape[1:]) if shape is not None else f"a {type(y).__name__}"
        raise UsageError(f"{what} gives {given}: expected a network {wanted}")
    return keras.Model(x, y, name=part)


def _fits(shape: Sequence[int | None], wanted: Sequence[int | str]) -> bool:
    """Whether rows of a shape `[N, ...]` may be of the shape that is wanted."""
    pairs = zip(shape[1:], wanted, strict=False)
    return len(shape) == 1 + len(wanted) and all(
        n == w or w == "F" and n is not None for n, w in pairs
    )


def _text(shape: Sequence[Any]) -> str:
    return f"[{', '.join(str(n or 'any') for n in ('N', *shape))}]"
