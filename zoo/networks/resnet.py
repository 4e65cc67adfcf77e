"""The residual networks of Gulrajani et al. 2017, for images of 32x32 and 64x64.

Generator and critic are those of their public code, gan_cifar_resnet.py without classes and
gan_64x64.py (`GoodGenerator`, `GoodDiscriminator`), with its initial weights; the encoder is the
generator's mirror (chosen). Two things differ and compute the same: at 32 too the mean over 2x2
pixels comes in front of a shortcut's 1x1 convolution, not behind it, and biases that batch norm
makes idle are left out.

The critic under a gradient penalty has no normalisation at 32 and layer norm at 64. For the other
models batch norm stands in the same places, as in that code's other modes; at 32, where it has none
but an option for it, in all blocks but the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from zoo.networks import layers
from zoo.networks.group_norm import GroupNormalization

DEFAULT_LATENT_SIZE = 128  # Gulrajani et al. 2017

# Maps of the generator from 4x4 up, by side of the image.
GENERATOR = {32: (128, 128, 128, 128), 64: (512, 512, 256, 128, 64)}
CRITIC_BLOCKS_AT_8 = 2  # that keep the size, at 32

Norm = Callable[[], keras.layers.Layer]


def decoder(
    latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
) -> keras.Model:
    """z `[N, D]` -> `channels` maps `[N, H, W, channels]`, a linear head."""
    first, *others = (layers.scaled(m, width) for m in GENERATOR[image_shape[0]])
    z = keras.Input((latent_size,))
    x = keras.layers.Reshape((4, 4, first))(keras.layers.Dense(4 * 4 * first)(z))
    for maps in others:
        x = _block(x, maps, layers.batch_norm, up=True)
    x = _normalised(x, layers.batch_norm)
    # He at 64 and Glorot at 32, as published.
    return keras.Model(z, _conv(x, channels, he=image_shape[0] == 64), name="decoder")


def encoder_trunk(image_shape: tuple[int, int, int], width: float) -> keras.Model:
    """The mirror of the decoder: images -> features `[N, 4 * 4 * maps]`."""
    first, *others = (layers.scaled(m, width) for m in GENERATOR[image_shape[0]][::-1])
    images = keras.Input(image_shape)
    x = _conv(layers.to_symmetric_range()(images), first, he=False)
    for maps in others:
        x = _block(x, maps, layers.batch_norm, down=True)
    features = keras.layers.Flatten()(_normalised(x, layers.batch_norm))
    return keras.Model(images, features, name="encoder_trunk")


def image_critic_trunk(
    image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
) -> keras.Model:
    """Images -> features `[N, F]`: the means of the last maps at 32, the last 4x4 maps at 64."""
    images = keras.Input(image_shape)
    critic = _critic_of_32 if image_shape[0] == 32 else _critic_of_64
    features = critic(layers.to_symmetric_range()(images), width, batch_norm)
    return keras.Model(images, features, name="image_critic_trunk")


def _critic_of_32(x: Any, width: float, batch_norm: bool) -> Any:
    maps = layers.scaled(128, width)
    norm = layers.batch_norm if batch_norm else None
    x = _block(x, maps, None, down=True, first=True)
    x = _block(x, maps, norm, down=True)
    for _ in range(CRITIC_BLOCKS_AT_8):
        x = _block(x, maps, norm)
    return keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))


def _critic_of_64(x: Any, width: float, batch_norm: bool) -> Any:
    first, *others = (layers.scaled(m, width) for m in GENERATOR[64][::-1])
    x = _conv(x, first, he=False)
    for maps in others:
        x = _block(x, maps, layers.batch_norm if batch_norm else _layer_norm, down=True)
    return keras.layers.Flatten()(x)


def image_critic_head() -> keras.layers.Layer:
    """One logit, with a bias."""
    return keras.layers.Dense(1)


def _block(
    x: Any, maps: int, norm: Norm | None, up: bool = False, down: bool = False, first: bool = False
) -> Any:
    """A residual block to `maps` maps of twice, half or the same height and width.

    Two 3x3 convolutions, each behind a normalisation and ReLU, less those of the input where the
    block is the `first`, which sees the image itself; beside them the identity or a 1x1
    convolution.
    """
    # A block widens where the maps are smaller: in front going up, at the end going down.
    inner = x.shape[-1] if down and not first else maps
    residual = x if first else _normalised(x, norm)
    residual = keras.layers.UpSampling2D(2)(residual) if up else residual
    residual = _conv(residual, inner, use_bias=norm is None)
    residual = _conv(_normalised(residual, norm), maps)
    residual = keras.layers.AveragePooling2D(2)(residual) if down else residual
    if up or down:
        x = keras.layers.UpSampling2D(2)(x) if up else keras.layers.AveragePooling2D(2)(x)
        x = _conv(x, maps, kernel=1, he=False)
    return keras.layers.Add()([x, residual])


def _normalised(x: Any, norm: Norm | None) -> Any:
    return keras.layers.ReLU()(x if norm is None else norm()(x))


def _layer_norm() -> keras.layers.Layer:
    """Of all pixels and maps of an example, with one scale and offset per map."""
    return GroupNormalization(groups=1, epsilon=1e-5)


def _conv(x: Any, maps: int, kernel: int = 3, he: bool = True, use_bias: bool = True) -> Any:
    """A convolution whose weights have the variance 4 / (fan in + fan out), or half of it."""
    initializer = keras.initializers.VarianceScaling(2.0 if he else 1.0, "fan_avg", "uniform")
    layer = keras.layers.Conv2D(
        maps, kernel, padding="same", use_bias=use_bias, kernel_initializer=initializer
    )
    return layer(x)
