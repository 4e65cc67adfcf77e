"""An image critic of which the features of a layer are seen."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.networks.critics import ImageCritic


class FeatureCritic(keras.Model):
    """Images `[N, H, W, C]` in [0, 1] -> logit `[N]` and features `[N, h, w, maps]`, float32, of
    one pass.

    The features are the output of the first layer that has maps of at most `side` pixels a side and
    that everything passes through; where there is none, they are the trunk's own `[N, F]`.

    Args:
        critic: whose layers these are.
        side: of the largest maps, in pixels.
    """

    def __init__(self, critic: ImageCritic, side: int):
        super().__init__(name=critic.name)
        self.trunk, self.head = _with_features(critic.trunk, side), critic.head
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """The logit and the features."""
        features, last = self.trunk(images, training=training)
        return tf.cast(self.head(last), tf.float32)[:, 0], tf.cast(features, tf.float32)


def _with_features(network: keras.Model, side: int) -> keras.Model:
    """The network with the features as a first output."""
    layers = [x for x in network.layers if not isinstance(x, keras.layers.InputLayer)]
    if len(layers) == 1 and getattr(layers[0], "inputs", None):  # one of the user's own
        return _with_features(layers[0], side)
    if isinstance(network, keras.Sequential):
        # Called anew: layers that were added one by one have outputs in several graphs.
        outputs = [keras.Input(network.input_shape[1:])]
        for layer in layers:
            outputs.append(layer(outputs[-1]))
        inputs, last = outputs[0], outputs[-1]
    else:
        inputs, last, outputs = network.inputs, network.outputs[0], _waists(network)
    small = [x for x in outputs if len(x.shape) == 4 and max(x.shape[1:3]) <= side]
    return keras.Model(inputs, [small[0] if small else last, last], name=network.name)


def _waists(network: keras.Model) -> list[keras.KerasTensor]:
    """The outputs of layers past which nothing leads from those before to those behind."""
    layers = network.layers  # each behind those that it takes from
    place = {id(x): i for i, layer in enumerate(layers) for x in keras.tree.flatten(layer.output)}
    reach = [
        min((place.get(id(x), 0) for x in keras.tree.flatten(layer.input)), default=0)
        for layer in layers
    ]
    return [layer.output for i, layer in enumerate(layers) if all(r >= i for r in reach[i + 1 :])]
