"""The ColorMNIST family: 28x28 images (Rosca et al. 2018, Tables 4 and 5; paper.md section 4
[F:S2])."""

from __future__ import annotations

import keras

from zoo.networks import layers

DEFAULT_LATENT_SIZE = 50


def decoder(
    latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
) -> keras.Sequential:
    """Table 5: z `[N, D]` -> `channels` maps `[N, 28, 28, channels]`, a linear head."""
    maps = layers.scaled(64, width)
    return keras.Sequential(
        [
            keras.Input((latent_size,)),
            layers.dense(7 * 7 * maps, use_bias=False),
            keras.layers.Reshape((7, 7, maps)),
            layers.batch_norm(),
            keras.layers.ReLU(),
            layers.conv_transpose(maps, 5, 2),
            layers.batch_norm(),
            keras.layers.ReLU(),
            layers.conv_transpose(layers.scaled(32, width), 5, 1),
            layers.batch_norm(),
            keras.layers.ReLU(),
            layers.conv_transpose(channels, 5, 2),
        ],
        name="decoder",
    )


def encoder_trunk(image_shape: tuple[int, int, int], width: float) -> keras.Sequential:
    """The mirror of Table 5, less its last layer: images `[N, 28, 28, C]` -> features `[N, F]`."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for maps, strides in ((32, 2), (64, 1), (64, 2)):
        stack += [layers.conv(layers.scaled(maps, width), 5, strides), layers.batch_norm()]
        stack += [keras.layers.ReLU()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="encoder_trunk")


def image_critic_trunk(
    image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
) -> keras.Sequential:
    """Table 4 less its heads: images -> features `[N, F]`. No batch norm after the first layer."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for i, (maps, strides) in enumerate(((8, 2), (16, 1), (32, 2), (64, 1), (64, 2))):
        stack += [layers.conv(layers.scaled(maps, width), 5, strides)]
        stack += [layers.batch_norm()] if batch_norm and i else []
        stack += [layers.leaky_relu()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="image_critic_trunk")


def image_critic_head() -> keras.layers.Layer:
    """ "Linear adv" of Table 4 as one logit, equivalent to its two-way softmax."""
    return layers.dense(1, use_bias=False)
