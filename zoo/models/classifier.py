"""The zoo's own classifier, which gives classes and features to the metrics of samples."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from zoo.config import ModelConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.models.base import Batch, Losses, PlayerModel
from zoo.models.optimizers import Rate
from zoo.networks.own import OwnNetworks
from zoo.networks.vgg import VGG
from zoo.noise import Noise
from zoo.options import Option
from zoo.pixels import as_floats

MOMENTUM = 0.9
# Keras takes this share of the weights off per unit of learning rate; momentum multiplies the usual
# penalty's 5e-4 by ten, so that both are the same.
WEIGHT_DECAY = 5e-4 / (1 - MOMENTUM)
BATCH = 250  # of inference; chosen


@keras.saving.register_keras_serializable(package="zoo")
class Classifier(PlayerModel):
    """VGG-style classifier (paper.md section 9: the paper's has 5.5% test error on CIFAR-10 [P]).

        network:  -log p(label | augmented image)

    Each training image is shifted by up to an eighth of its side and, with `mirror`, mirrored.
    Trained by SGD with Nesterov momentum 0.9 and weight decay 5e-4, the learning rate halving every
    250 steps (after a public VGG-16 for CIFAR-10, Geifman 2018; chosen).
    """

    players = ("network",)
    terms = ("cross_entropy", "accuracy")
    options = (
        Option("classes", 10, "Number of classes; those of the data set by default.", at_least=2),
        Option(
            "mirror",
            False,
            "Flip each training image left-right with probability 1/2, which spoils digits.",
        ),
    )
    learning_rates = {"network": 0.05}  # chosen
    schedule = {"schedule": "exponential", "decay_steps": 250, "decay_rate": 0.5}
    higher_is_better = ("accuracy",)
    needs_labels = True

    @classmethod
    def resolve_for(
        cls, config: ModelConfig, dataset: ImageDataset, own: OwnNetworks | None = None
    ) -> ModelConfig:
        """`resolve` with the number of classes that the data set has.

        Raises:
            UsageError: the data set has no labels, or more classes than the setting allows.
        """
        needed = 1 + max(int(dataset.labels(name).max()) for name in dataset.splits)
        config = config.replace(classes=config.classes or needed)
        if config.classes < needed:
            raise UsageError(
                f"classes={config.classes} is not accepted: expected at least the {needed} of "
                f"{dataset.name}"
            )
        return cls.resolve(config, dataset.image_shape, own)

    def _build_networks(self) -> None:
        self.network = VGG(self.image_shape, self.classes, self.config.width)

    def make_optimizer(self, learning_rate: Rate) -> keras.optimizers.Optimizer:
        """SGD with the momentum and decay above."""
        optimizer = keras.optimizers.SGD(
            learning_rate, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
        )
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        return optimizer

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The probabilities `[N, K]` of the classes; always in inference mode."""
        return tf.nn.softmax(self.network(self.take_images(images), training=False)[0])

    def losses(self, images: Batch, noise: Noise, training: bool = True) -> Losses:
        """Cross entropy of augmented images."""
        images, labels = images
        labels = tf.cast(labels, tf.int64)
        if training:
            images = shifted(images, (images.shape[1] // 8, images.shape[2] // 8), noise)
            images = mirrored(images, noise) if self.mirror else images
        logits, _ = self.network(images, noise=noise, training=training)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32)
        return {"network": tf.reduce_mean(loss)}, {"cross_entropy": loss, "accuracy": right}

    @tf.function(reduce_retracing=True)
    def classify(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits `[N, K]` and features `[N, F]` of images `[N, H, W, C]` in [0, 1]."""
        return self.network(images, training=False)

    def error_rate(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of uint8 `images` that are not given their `labels`."""
        wrong = 0
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            logits, _ = self.classify(as_floats(images[part]))
            wrong += int((logits.numpy().argmax(axis=1) != labels[part]).sum())
        return wrong / len(images)


def shifted(images: tf.Tensor, most: tuple[int, int], noise: Noise) -> tf.Tensor:
    """Images moved by up to `most` pixels up or down, left or right, their edges filled by
    reflection."""
    _, *sides, _ = images.shape
    padded = tf.pad(images, [[0, 0], *([m, m] for m in most), [0, 0]], mode="REFLECT")
    places = noise.uniform("shift", (2,)) * [2 * m + 1 for m in most]
    first = tf.cast(places, tf.int32)
    rows, columns = (first[:, i, None] + tf.range(n) for i, n in enumerate(sides))
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def mirrored(images: tf.Tensor, noise: Noise) -> tf.Tensor:
    """Images, each flipped left-right with probability 1/2."""
    return tf.where(noise.uniform("mirror", (1, 1, 1)) < 0.5, images[:, :, ::-1], images)
