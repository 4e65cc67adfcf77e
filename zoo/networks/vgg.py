"""The VGG-style classifier of the Inception Score (paper.md section 9 [P, C])."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.networks import layers
from zoo.noise import Noise

BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)  # maps of each layer [C]
# Before the head alone (chosen): in front of a batch norm, dropout widens what its moving
# statistics see beyond what comes in inference (Li et al. 2019).
DROPOUT = 0.5


class VGG(keras.Model):
    """Images `[N, H, W, C]` in [0, 1] -> logits `[N, K]` and features `[N, F]`.

    Simonyan & Zisserman 2015 with batch norm, in the shape for small images: blocks of 3x3
    convolutions with max-pooling between them, the features are the means of the last maps. There
    are as many of the five blocks as halve the shorter side down to 2 or 3 pixels: four for 28,
    five from 32 on.

    Args:
        image_shape: `(H, W, C)`.
        classes: K.
        width: multiplier of feature maps.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int, width: float):
        super().__init__(name="network")
        side, channels = min(image_shape[:2]), image_shape[2]
        depth = min(len(BLOCKS), max(1, side.bit_length() - 1))
        stack = [keras.Input(image_shape), layers.to_symmetric_range()]
        for i, maps in enumerate(BLOCKS[:depth]):
            stack += [keras.layers.MaxPooling2D()] if i else []
            for m in maps:
                channels = layers.scaled(m, width)
                stack += [_conv(channels), layers.batch_norm(), keras.layers.ReLU()]
        self.trunk = keras.Sequential(stack, name="trunk")
        self.head = keras.layers.Dense(classes, name="head")
        self.head.build((None, channels))
        self.built = True

    def call(
        self, images: tf.Tensor, noise: Noise | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and features, float32; in training `noise` decides what is dropped.

        Raises:
            ValueError: training without noise.
        """
        features = kept = tf.reduce_mean(self.trunk(images, training=training), axis=[1, 2])
        if training:
            if noise is None:
                raise ValueError("training needs noise: it decides what is dropped")
            # From the model's noise: a function of the row, whatever the replica.
            mask = noise.uniform("dropout", tuple(features.shape[1:])) >= DROPOUT
            kept = features * tf.cast(mask, features.dtype) / (1.0 - DROPOUT)
        return tf.cast(self.head(kept), tf.float32), tf.cast(features, tf.float32)


def _conv(filters: int) -> keras.layers.Layer:
    """3x3, without a bias, which batch norm would take away again."""
    return keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
    )
