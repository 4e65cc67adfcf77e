"""Critics of images, of codes, and of both: each ends in one logit `[N]`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.networks import NetworkFamily, layers
from zoo.options import Option

CODE_CRITIC_UNITS = Option(
    "code_critic_units",
    1000,
    "Units of each hidden layer of the code critic; 5000 in the paper's study of many latents.",
    above=0,
)


class ImageCritic(keras.Model):
    """Images `[N, H, W, C]` in [0, 1] -> logit `[N]`, positive for "data" (Rosca et al. 2018,
    Table 4).

    Args:
        family: the networks that the trunk and the head are of.
        image_shape: `(H, W, C)`.
        width: multiplier of feature maps.
        batch_norm: off where a gradient penalty is taken per example.
    """

    def __init__(
        self,
        family: NetworkFamily,
        image_shape: tuple[int, int, int],
        width: float,
        batch_norm: bool,
    ):
        super().__init__(name="image_critic")
        self.trunk = family.image_critic_trunk(image_shape, width, batch_norm)
        self.head = family.image_critic_head()
        self.head.build(self.trunk.output_shape)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """The logit."""
        logit = self.head(self.trunk(images, training=training))
        return tf.cast(logit, tf.float32)[:, 0]


class CodeCritic(keras.Model):
    """Codes `[N, D]` -> logit `[N]`, in the models positive for "prior": an MLP.

    No batch norm, with which two reproductions failed (paper.md section 4 [F:S4, S5]).

    Args:
        latent_size: D.
        units: of each hidden layer; 1,000 in the paper, 5,000 in its study of 1,000 and 10,000
            latents [P].
        width: multiplier of the units.
        hidden_layers: three in the paper [P].
        activation_noise: standard deviation of the Gaussian noise that training adds to each hidden
            layer.
        dropout: share of each hidden layer that training drops.
    """

    def __init__(
        self,
        latent_size: int,
        units: int,
        width: float,
        hidden_layers: int = 3,
        activation_noise: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__(name="code_critic")
        units = layers.scaled(units, width)
        stack = [keras.Input((latent_size,))]
        for _ in range(hidden_layers):
            stack += [layers.dense(units), layers.leaky_relu()]
            if activation_noise:
                stack.append(keras.layers.GaussianNoise(activation_noise))
            if dropout:
                stack.append(keras.layers.Dropout(dropout))
        self.stack = keras.Sequential([*stack, layers.dense(1)])
        self.built = True

    def call(self, z: Any, training: bool = False) -> Any:
        """The logit."""
        return tf.cast(self.stack(z, training=training), tf.float32)[:, 0]


class JointCritic(keras.Model):
    """Pairs of images `[N, H, W, C]` and codes `[N, D]` -> logit `[N]` (Rosca et al. 2018, Table
    6 [C]).

    The code goes through two layers of 512 units, is joined to the flattened features of the image
    critic's trunk, and one hidden layer of 1,024 units leads to the logit: ALI's shape [F:S11].
    """

    def __init__(
        self,
        family: NetworkFamily,
        image_shape: tuple[int, int, int],
        latent_size: int,
        width: float,
    ):
        super().__init__(name="joint_critic")
        self.trunk = family.image_critic_trunk(image_shape, width)
        units, hidden = layers.scaled(512, width), layers.scaled(1024, width)
        self.code_tower = keras.Sequential(
            [
                keras.Input((latent_size,)),
                layers.dense(units),
                layers.leaky_relu(),
                layers.dense(units),
                layers.leaky_relu(),
            ]
        )
        self.head = keras.Sequential(
            [
                keras.Input((self.trunk.output_shape[-1] + units,)),
                layers.dense(hidden),
                layers.leaky_relu(),
                layers.dense(1),
            ]
        )
        self.built = True

    def call(self, images: Any, z: Any, training: bool = False) -> Any:
        """The logit."""
        features = self.trunk(images, training=training)
        codes = tf.cast(self.code_tower(z, training=training), features.dtype)
        logit = self.head(tf.concat([features, codes], axis=-1), training=training)
        return tf.cast(logit, tf.float32)[:, 0]
