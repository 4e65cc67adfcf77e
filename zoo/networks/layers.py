"""Layers with the settings of the reference code, which differ from Keras's own defaults.

Rosca et al. 2018, Appendix K, through the public DCGAN code it names (paper.md section 12
[F:S1]): kernels from N(0, 0.02), no biases, leaky slope 0.2, batch norm with momentum 0.9,
epsilon 1e-5, gamma from N(1, 0.02).
"""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.networks.batch_norm import BatchNormalization


def kernel_initializer() -> keras.initializers.Initializer:
    """N(0, 0.02)."""
    return keras.initializers.RandomNormal(stddev=0.02)


def batch_norm() -> keras.layers.Layer:
    """Batch norm whose statistics are those of the global batch on any number of replicas."""
    return BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
        synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
    )


def conv(filters: int, kernel: int, strides: int | tuple[int, int]) -> keras.layers.Layer:
    """Bias-free convolution."""
    return _bias_free(keras.layers.Conv2D, filters, kernel, strides)


def conv_transpose(filters: int, kernel: int, strides: int | tuple[int, int]) -> keras.layers.Layer:
    """Bias-free transposed convolution."""
    return _bias_free(keras.layers.Conv2DTranspose, filters, kernel, strides)


def _bias_free(
    layer: type[keras.layers.Layer],
    filters: int,
    kernel: int,
    strides: int | tuple[int, int],
) -> keras.layers.Layer:
    return layer(
        filters,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer(),
    )


def dense(units: int, use_bias: bool = True) -> keras.layers.Layer:
    """Fully connected layer."""
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=kernel_initializer())


def leaky_relu() -> keras.layers.Layer:
    """Leaky ReLU of slope 0.2, for critics."""
    return keras.layers.LeakyReLU(negative_slope=0.2)


def to_symmetric_range() -> keras.layers.Layer:
    """The door of encoders and critics: images in [0, 1] become [-1, 1]."""
    return keras.layers.Rescaling(2.0, offset=-1.0)


def scaled(maps: int, width: float) -> int:
    """A number of feature maps times the width multiplier, at least one."""
    return max(1, round(maps * width))
