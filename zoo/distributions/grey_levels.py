"""Grey levels 0..255: what discrete likelihoods count in."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

GREY_LEVELS = 256
BRIGHTEST = GREY_LEVELS - 1


def grey_levels(images: tf.Tensor) -> tf.Tensor:
    """Pixels in [0, 1] as float32 whole numbers 0..255."""
    return tf.round(tf.cast(images, tf.float32) * BRIGHTEST)


class GreyLevelImages(tfd.Distribution):
    """A law of grey levels 0..255, event `[H, W, C]`, as a law of images k / 255.

    It stays a mass: `tfd.TransformedDistribution` would add the log-determinant of a density.

    Args:
        levels: distribution of whole numbers 0..255, batch `[N]`, event `[H, W, C]`.
        mean_images: its mean in [0, 1], `[N, H, W, C]`.
    """

    def __init__(self, levels: tfd.Distribution, mean_images: tf.Tensor):
        parameters = dict(locals())
        self._levels, self._mean_images = levels, mean_images
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name="GreyLevelImages",
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {
            "levels": tfp.util.BatchedComponentProperties(),
            "mean_images": tfp.util.ParameterProperties(event_ndims=3),
        }

    def _event_shape(self) -> tf.TensorShape:
        return self._levels.event_shape

    def _event_shape_tensor(self) -> tf.Tensor:
        return self._levels.event_shape_tensor()

    def _log_prob(self, images: tf.Tensor) -> tf.Tensor:
        return self._levels.log_prob(grey_levels(images))

    def _sample_n(self, n: tf.Tensor, seed: Any = None) -> tf.Tensor:
        return tf.cast(self._levels.sample(n, seed=seed), tf.float32) / BRIGHTEST

    def _mean(self) -> tf.Tensor:
        return self._mean_images
