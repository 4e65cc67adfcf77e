"""The CIFAR-10 / CelebA family: the public DCGAN code that the paper names (paper.md section 12
[F:S1, H]).

4x4 kernels, no biases, 64 maps at the widest scale, doubling as the side halves down to 4x4. The
same rule gives networks for other powers of two.
"""

from __future__ import annotations

import math

import keras

from zoo.networks import layers

DEFAULT_LATENT_SIZE = 128  # chosen, after alpha-GAN's and WGAN-GP's code [C]


def _maps(image_shape: tuple[int, int, int], width: float) -> list[int]:
    """Feature maps from the scale below the image down to 4x4: 64, 128, ..."""
    scales = int(math.log2(image_shape[0])) - 2
    return [layers.scaled(64 * 2**i, width) for i in range(scales)]


def decoder(
    latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
) -> keras.Sequential:
    """z `[N, D]` -> `channels` maps `[N, H, W, channels]`, a linear head."""
    maps = _maps(image_shape, width)[::-1]
    # The first transposed convolution, of one pixel to 4x4, is a dense layer, and slower than one.
    stack = [keras.Input((latent_size,)), layers.dense(4 * 4 * maps[0], use_bias=False)]
    stack += [keras.layers.Reshape((4, 4, maps[0]))]
    for m in maps[1:]:
        stack += [layers.batch_norm(), keras.layers.ReLU(), layers.conv_transpose(m, 4, 2)]
    stack += [layers.batch_norm(), keras.layers.ReLU(), layers.conv_transpose(channels, 4, 2)]
    return keras.Sequential(stack, name="decoder")


def encoder_trunk(image_shape: tuple[int, int, int], width: float) -> keras.Sequential:
    """The mirror of the decoder, less its last layer: images -> features `[N, 4 * 4 * maps]`."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for m in _maps(image_shape, width):
        stack += [layers.conv(m, 4, 2), layers.batch_norm(), keras.layers.ReLU()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="encoder_trunk")


def image_critic_trunk(
    image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
) -> keras.Sequential:
    """Images -> features `[N, 4 * 4 * maps]`. No batch norm after the first layer."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for i, m in enumerate(_maps(image_shape, width)):
        stack += [layers.conv(m, 4, 2)]
        stack += [layers.batch_norm()] if batch_norm and i else []
        stack += [layers.leaky_relu()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="image_critic_trunk")


def image_critic_head() -> keras.layers.Layer:
    """The last 4x4 valid convolution to one logit, written over the flattened 4x4 features."""
    return layers.dense(1, use_bias=False)
