"""The family for all sizes: the public DCGAN code that the paper names, of 64x64 images (paper.md
section 12 [F:S1, H]), carried on.

4x4 kernels, no biases, strides of 2. From the image on, each side of 8 or more is halved by every
layer, rounded up, until both are of 4 to 7 pixels; a side that is down already keeps its length.
There are 64 maps in the first layer and twice as many in each next one, up to 1,024 (chosen: those
of 128x128 images). docs/networks.md has a table.
"""

from __future__ import annotations

import itertools

import keras

from zoo.networks import layers

DEFAULT_LATENT_SIZE = 128  # chosen, after alpha-GAN's and WGAN-GP's code [C]

Size = tuple[int, int]
_HALVED = 8  # pixels: the least side that is halved
_MOST_MAPS = 1024


def sizes(image_shape: tuple[int, int, int]) -> list[Size]:
    """Height and width of the image, and of what each layer makes of it."""
    found = [image_shape[:2]]
    while max(found[-1]) >= _HALVED:
        height, width = found[-1]
        found.append((_below(height), _below(width)))
    return found


def _below(side: int) -> int:
    return (side + 1) // 2 if side >= _HALVED else side


def _strides(larger: Size, smaller: Size) -> Size:
    """Of the layer that leads from one size to the other."""
    return 1 + (larger[0] > smaller[0]), 1 + (larger[1] > smaller[1])


def _maps(layer: int, width: float) -> int:
    """Feature maps that the layer of that number, from 0 at the image, ends in."""
    return layers.scaled(min(64 * 2**layer, _MOST_MAPS), width)


def decoder(
    latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
) -> keras.Sequential:
    """z `[N, D]` -> `channels` maps `[N, H, W, channels]`, a linear head."""
    steps = sizes(image_shape)[::-1]
    (height, breadth), last = steps[0], len(steps) - 2
    maps = _maps(last, width)
    # The first transposed convolution, of one pixel to 4x4, is a dense layer, and slower than one.
    stack = [keras.Input((latent_size,)), layers.dense(height * breadth * maps, use_bias=False)]
    stack += [keras.layers.Reshape((height, breadth, maps))]
    for i, (smaller, larger) in enumerate(itertools.pairwise(steps)):
        strides = _strides(larger, smaller)
        maps = _maps(last - 1 - i, width) if i < last else channels
        stack += [layers.batch_norm(), keras.layers.ReLU(), layers.conv_transpose(maps, 4, strides)]
        # An odd side is what the encoder's layer would have rounded up.
        excess = [s * step - b for s, step, b in zip(smaller, strides, larger, strict=True)]
        stack += [keras.layers.Cropping2D([(0, e) for e in excess])] if any(excess) else []
    return keras.Sequential(stack, name="decoder")


def encoder_trunk(image_shape: tuple[int, int, int], width: float) -> keras.Sequential:
    """The mirror of the decoder, less its last layer: images -> features `[N, F]`."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for i, (larger, smaller) in enumerate(itertools.pairwise(sizes(image_shape))):
        stack += [layers.conv(_maps(i, width), 4, _strides(larger, smaller))]
        stack += [layers.batch_norm(), keras.layers.ReLU()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="encoder_trunk")


def image_critic_trunk(
    image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
) -> keras.Sequential:
    """Images -> features `[N, F]`. No batch norm after the first layer."""
    stack = [keras.Input(image_shape), layers.to_symmetric_range()]
    for i, (larger, smaller) in enumerate(itertools.pairwise(sizes(image_shape))):
        stack += [layers.conv(_maps(i, width), 4, _strides(larger, smaller))]
        stack += [layers.batch_norm()] if batch_norm and i else []
        stack += [layers.leaky_relu()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="image_critic_trunk")


def image_critic_head() -> keras.layers.Layer:
    """The last 4x4 valid convolution to one logit, written over the flattened features."""
    return layers.dense(1, use_bias=False)
