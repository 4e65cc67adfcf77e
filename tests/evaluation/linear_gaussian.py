"""A model from elsewhere whose every quantity is known: p(z) = N(0, I), p(x|z) = N(Wz + 1/2, s^2).

The columns of W are orthogonal, so that the exact posterior is a diagonal Gaussian.
"""

import numpy as np
import tensorflow as tf
from scipy.stats import multivariate_normal

from zoo.data.images import ImageDataset, Split
from zoo.evaluation.subject.subject import Subject
from zoo.noise import row_noise

SIDE, SCALE = 16, 0.5
SHAPE, PIXELS = (SIDE, SIDE, 1), SIDE * SIDE
W = 0.05 * np.stack([np.ones(PIXELS), np.resize([1.0, -1.0], PIXELS)], axis=1)
PRECISION = 1 + (W[:, 0] ** 2).sum() / SCALE**2
IMAGES = tf.TensorSpec([None, *SHAPE], tf.float32, name="images")
Z = tf.TensorSpec([None, 2], tf.float32, name="z")
SEED = tf.TensorSpec([None], tf.int32, name="seed")


class LinearGaussian(tf.Module):
    """The signatures, made by hand.

    Args:
        width: standard deviation of q(z|x) in units of the exact posterior's.
        closed_form: whether `elbo` has the closed-form KL and `encode` gives mean and stddev; else
            the KL is log q - log p of the draw.
    """

    def __init__(self, width=1.0, closed_form=True):
        super().__init__()
        self.w = tf.Variable(W, dtype=tf.float32)
        self.width, self.closed_form = width, closed_form

    def posterior(self, images):
        centred = tf.reshape(images, (-1, PIXELS)) - 0.5
        mean = centred @ self.w / (SCALE**2 * PRECISION)
        return mean, tf.fill(tf.shape(mean), np.float32(self.width * PRECISION**-0.5))

    def draw(self, images, seed):
        mean, stddev = self.posterior(images)
        return mean + stddev * row_noise(seed).normal("z", (2,))

    def decode(self, z):
        return {"images": tf.reshape(0.5 + z @ tf.transpose(self.w), (-1, *SHAPE))}

    def encode(self, images):
        mean, stddev = self.posterior(images)
        return {"z": mean, **({"mean": mean, "stddev": stddev} if self.closed_form else {})}

    def sample_posterior(self, images, seed):
        return {"z": self.draw(images, seed)}

    def sample(self, seed):
        z = row_noise(seed).normal("prior", (2,))
        return {"z": z, **self.decode(z)}

    def elbo(self, images, seed):
        z, (mean, stddev) = self.draw(images, seed), self.posterior(images)
        error = (images - self.decode(z)["images"]) / SCALE
        constant = PIXELS * np.log(2 * np.pi * SCALE**2)
        log_likelihood = -0.5 * (tf.reduce_sum(error**2, (1, 2, 3)) + constant)
        if self.closed_form:
            terms = mean**2 + stddev**2 - 1 - 2 * tf.math.log(stddev)
        else:
            terms = z**2 - ((z - mean) / stddev) ** 2 - 2 * tf.math.log(stddev)
        kl = 0.5 * tf.reduce_sum(terms, 1)
        return {"elbo": log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl}

    def signatures(self, *names):
        inputs = {
            "decode": [Z],
            "encode": [IMAGES],
            "sample_posterior": [IMAGES, SEED],
            "sample": [SEED],
            "elbo": [IMAGES, SEED],
        }
        return {
            name: tf.function(
                getattr(self, name), input_signature=inputs[name]
            ).get_concrete_function()
            for name in names or inputs
        }


def subject(*names, **settings):
    """The model in process, with these signatures or all."""
    model = LinearGaussian(**settings)
    found = Subject("linear", model.signatures(*names), "exact", "weights", 1)
    found.model = model  # its signatures hold the variables weakly
    return found


def log_evidence(images, scale=SCALE):
    """log p(x) of uint8 images `[N, 16, 16, 1]`, nats, with this standard deviation of p(x|z)."""
    covariance = W @ W.T + scale**2 * np.eye(PIXELS)
    x = images.reshape(len(images), PIXELS) / 255
    return multivariate_normal(np.full(PIXELS, 0.5), covariance).logpdf(x)


def dataset(sizes=(90, 70, 80)):
    """Noise around images of the model itself."""
    rng = np.random.default_rng(2)
    splits = {}
    for name, size in zip(("train", "validation", "test"), sizes, strict=True):
        x = 0.5 + rng.standard_normal((size, 2)) @ W.T + 0.1 * rng.standard_normal((size, PIXELS))
        pixels = np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8)
        splits[name] = Split(pixels.reshape(size, *SHAPE))
    return ImageDataset("linear", splits, {})
