"""Visible distributions: decoder output -> p(x|z) (paper.md section 7).

A likelihood is stateless: it says how many maps the decoder has to emit and what they mean. Images
are float32 `[N, H, W, C]` in [0, 1], each pixel k / 255 of a grey level k; log-probabilities are
nats per example `[N]`, summed over pixels and channels. Whatever dtype the decoder computes in,
everything here is float32. An all-zero output means mid-grey (mean 0.5) in every family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.distributions import portable
from zoo.distributions.grey_levels import BRIGHTEST, GREY_LEVELS, GreyLevelImages, grey_levels
from zoo.errors import UsageError
from zoo.noise import Noise
from zoo.options import Option

_PIXEL_AXES = (-3, -2, -1)


def bits_per_dim(log_prob: Any, event_size: int) -> Any:
    """`-log P / (event_size ln 2)` of a log-mass in nats; defined for discrete likelihoods only."""
    return -log_prob / (event_size * math.log(2.0))


class Likelihood:
    """Base of the visible distributions.

    Attributes:
        name: key in `zoo.registry.LIKELIHOODS`.
        options: its settings in `ModelConfig`, arguments of the constructor.
        discrete: True where `log_prob` is the log-mass of the uint8 pixels, so that bits per
            dimension are defined.
        sufficient: the `parameters` that tell `outputs`; none where they do not.
    """

    name: str
    discrete: bool
    options: tuple[Option, ...] = ()
    sufficient: tuple[str, ...] = ()

    def output_channels(self, image_channels: int) -> int:
        """Maps that the decoder must emit for images of this many channels."""
        raise NotImplementedError

    def parameters(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`, the mean of p(x|z) in [0, 1] `[N, H, W, C]`, and further parameters.

        Plain operations only: this is what portable exports trace.
        """
        raise NotImplementedError

    def outputs(self, parameters: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The decoder's outputs from those `parameters` that are `sufficient`, up to rounding and
        differentiable: how p(x|z) follows from what an export's `decode` gives."""
        raise NotImplementedError

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """p(x|z) over images in [0, 1]: batch `[N]`, event `[H, W, C]`; `mean()` is `images`."""
        raise NotImplementedError

    def log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """log p(x|z) `[N]`, nats."""
        return self.distribution(outputs).log_prob(images)

    def portable_log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """`log_prob` for runtimes other than TensorFlow; see `portable.py`."""
        raise NotImplementedError

    def training_log_prob(self, outputs: tf.Tensor, images: tf.Tensor, noise: Noise) -> tf.Tensor:
        """What a train step maximises `[N]`, nats: `log_prob`, or a lower bound of it."""
        del noise
        return self.log_prob(outputs, images)


class Bernoulli(Likelihood):
    """`x log mu + (1 - x) log(1 - mu)`, `mu = sigmoid(l)`; the paper's default for VAEs [P].

    On pixels that are not 0 or 1 this is a cross-entropy, not a log-probability: its values compare
    within the family only, and bits per dimension are not defined.
    """

    name = "bernoulli"
    discrete = False
    sufficient = ("images",)

    def output_channels(self, image_channels: int) -> int:
        """One logit per pixel and channel."""
        return image_channels

    def parameters(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`, the mean, which is the only parameter."""
        return {"images": tf.sigmoid(tf.cast(outputs, tf.float32))}

    def outputs(self, parameters: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The logits, of which a mean in float32 tells none beyond 16.6 or below -69."""
        mean = tf.clip_by_value(parameters["images"], 1e-30, 1.0 - 2.0**-24)
        return tf.math.log(mean) - tf.math.log1p(-mean)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Independent Bernoulli pixels; samples are 0 or 1."""
        # float32: with the default int32 real-valued pixels are truncated to 0.
        pixels = tfd.Bernoulli(logits=tf.cast(outputs, tf.float32), dtype=tf.float32)
        return tfd.Independent(pixels, reinterpreted_batch_ndims=3)

    def log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """`sum x l - softplus(l)` `[N]`, nats."""
        logits, images = tf.cast(outputs, tf.float32), tf.cast(images, tf.float32)
        return tf.reduce_sum(images * logits - tf.nn.softplus(logits), axis=_PIXEL_AXES)

    def portable_log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """`[N]`, nats."""
        logits, images = tf.cast(outputs, tf.float32), tf.cast(images, tf.float32)
        return tf.reduce_sum(images * logits - portable.softplus(logits), axis=_PIXEL_AXES)


class QuantizedNormal(Likelihood):
    """Mass that N(mean, stddev^2) gives to the bin of each grey level [P: normal; bins D].

        log P(k) = log[ F(k + 1/2) - F(k - 1/2) ],   F the distribution function in grey levels,

    with open tails at 0 and 255, so that the masses sum to 1. Per pixel and channel the decoder
    emits a mean and a log-scale (chosen; paper.md section 7 [C]). In units of the range [0, 1]:

    - mean = 0.5 + 4 tanh(a / 4): linear where images are (within 1% for |a| < 0.5), because exact
      blacks and whites, which a sigmoid reaches only at infinity, are common and best met by a mean
      outside the range.
    - stddev = f + (1 - f) sigmoid(b), f = 1/512: an exponential of b that ends smoothly at half a
      grey level, below which the gradient explodes or vanishes, and at the whole range, above which
      differences of F drown in float32 rounding.

    The tanh and the sigmoid keep log-mass and gradients finite at any output. `images` is the mean
    of the normal clipped to [0, 1] (chosen: plain operations); the open tails pull the mean of the
    mass itself further inwards, by 0.4 stddev where the normal sits on 0 or 1.

    Args:
        dequantization: "uniform" trains on the paper's bound, E_u log N(k - 1/2 + u), u ~ U[0, 1)
            (Theis et al. 2016); "none" trains on the mass itself. Evaluation always uses the mass.

    Raises:
        UsageError: another dequantization.
    """

    name = "quantized_normal"
    discrete = True
    sufficient = ("mean", "stddev")
    options = (
        Option(
            "dequantization",
            "uniform",
            "What training maximises: the paper's bound by uniform noise, or the exact mass.",
            choices=("uniform", "none"),
        ),
    )

    STDDEV_FLOOR = 1.0 / 512.0
    MEAN_LIMIT = 4.0  # chosen: wide enough that no useful mean comes near

    def __init__(self, dequantization: str = "uniform"):
        if dequantization not in ("uniform", "none"):
            raise UsageError(
                f"dequantization={dequantization!r} is not accepted: expected uniform or none"
            )
        self.dequantization = dequantization

    def output_channels(self, image_channels: int) -> int:
        """The means, then the log-scales."""
        return 2 * image_channels

    def parameters(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`, the mean clipped to [0, 1], and `mean` and `stddev` in the same units,
        `[N, H, W, C]`."""
        mean, stddev = self._mean_and_stddev(outputs)
        return {"images": tf.clip_by_value(mean, 0.0, 1.0), "mean": mean, "stddev": stddev}

    def outputs(self, parameters: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The inverses of tanh and sigmoid, a rounding error within their ends."""
        inside = 1.0 - 2.0**-23
        mean = (parameters["mean"] - 0.5) / self.MEAN_LIMIT
        mean = self.MEAN_LIMIT * tf.atanh(tf.clip_by_value(mean, -inside, inside))
        gate = (parameters["stddev"] - self.STDDEV_FLOOR) / (1.0 - self.STDDEV_FLOOR)
        gate = tf.clip_by_value(gate, 1e-30, inside)
        return tf.concat([mean, tf.math.log(gate) - tf.math.log1p(-gate)], axis=-1)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Independent quantised normals."""
        # The bins of QuantizedDistribution are (k - 1, k]; half a level down they are centred on k.
        normal = self._normal(outputs, shift=-0.5)
        levels = tfd.QuantizedDistribution(normal, low=0.0, high=float(BRIGHTEST))
        levels = tfd.Independent(levels, reinterpreted_batch_ndims=3)
        return GreyLevelImages(levels, self.parameters(outputs)["images"])

    def training_log_prob(self, outputs: tf.Tensor, images: tf.Tensor, noise: Noise) -> tf.Tensor:
        """`[N]` nats; with uniform dequantisation at most `log_prob` in expectation (Jensen)."""
        if self.dequantization == "none":
            return self.log_prob(outputs, images)
        levels = grey_levels(images)
        u = noise.uniform("dequantization", tuple(images.shape[1:]))
        # The paper's log N((k + u) / 256) - log 256 per dimension: here bins have width 1.
        density = self._normal(outputs).log_prob(levels + u - 0.5)
        return tf.reduce_sum(density, axis=_PIXEL_AXES)

    def portable_log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """`[N]`, nats."""
        mean, stddev = self._mean_and_stddev(outputs)
        mass = portable.log_normal_bin(grey_levels(images), BRIGHTEST * mean, BRIGHTEST * stddev)
        return tf.reduce_sum(mass, axis=_PIXEL_AXES)

    def _mean_and_stddev(self, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mean, log_scale = tf.split(tf.cast(outputs, tf.float32), 2, axis=-1)
        mean = 0.5 + self.MEAN_LIMIT * tf.tanh(mean / self.MEAN_LIMIT)
        stddev = self.STDDEV_FLOOR + (1.0 - self.STDDEV_FLOOR) * tf.sigmoid(log_scale)
        return mean, stddev

    def _normal(self, outputs: tf.Tensor, shift: float = 0.0) -> tfd.Normal:
        """The normal in grey levels."""
        mean, stddev = self._mean_and_stddev(outputs)
        return tfd.Normal(loc=BRIGHTEST * mean + shift, scale=BRIGHTEST * stddev)


class Categorical(Likelihood):
    """`log softmax(l)[k]`: 256 free probabilities per pixel and channel [P]."""

    name = "categorical"
    discrete = True

    def output_channels(self, image_channels: int) -> int:
        """256 logits per channel, those of one channel side by side."""
        return GREY_LEVELS * image_channels

    def parameters(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`, the mean. The probabilities, 256 times its size, are left out."""
        levels = tf.range(GREY_LEVELS, dtype=tf.float32) / BRIGHTEST
        probabilities = tf.nn.softmax(self._logits(outputs))
        return {"images": tf.reduce_sum(probabilities * levels, axis=-1)}

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Independent categorical grey levels."""
        levels = tfd.Categorical(logits=self._logits(outputs))
        levels = tfd.Independent(levels, reinterpreted_batch_ndims=3)
        return GreyLevelImages(levels, self.parameters(outputs)["images"])

    def portable_log_prob(self, outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """`[N]`, nats."""
        mass = portable.log_categorical(grey_levels(images), self._logits(outputs))
        return tf.reduce_sum(mass, axis=_PIXEL_AXES)

    def _logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """`[N, H, W, C, 256]`."""
        height, width, maps = outputs.shape[1:]
        shape = [-1, height, width, maps // GREY_LEVELS, GREY_LEVELS]
        return tf.reshape(tf.cast(outputs, tf.float32), shape)


class Generated(Likelihood):
    """No p(x|z): the decoder of an implicit model emits the images themselves, by a tanh [F:S1]."""

    name = "generated"
    discrete = False

    def output_channels(self, image_channels: int) -> int:
        """One per channel."""
        return image_channels

    def parameters(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """`images`."""
        return {"images": 0.5 + 0.5 * tf.tanh(tf.cast(outputs, tf.float32))}

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Always raises `UsageError`."""
        raise UsageError("this model's decoder is implicit: it has no p(x|z)")
