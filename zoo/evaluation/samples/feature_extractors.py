"""What gives classes and features to the metrics of samples: the zoo's own, or ImageNet Inception.

Both are read from local files; nothing is ever downloaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo import pretrained
from zoo.errors import UsageError
from zoo.files import user_path
from zoo.models.classifier import Classifier
from zoo.run import Run

INCEPTION_SIDE = 299
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureExtractor:
    """A network that gives each image class logits and features.

    Attributes:
        name: for the records; tells two states of one network apart.
        preprocessing: what is done to images before the network, for the definitions.
        features: how many there are, F.
        function: images float32 `[N, H, W, C]` in [0, 1] -> logits `[N, K]` and features `[N, F]`.
    """

    name: str
    preprocessing: str
    features: int
    function: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits `[N, K]` and features `[N, F]`, float32, of images `[N, H, W, C]` in [0, 1].

        Raises:
            UsageError: a pixel is not finite or not in [0, 1].
        """
        # Written so that NaN fails it.
        if not (images.min() >= 0 and images.max() <= 1):
            raise UsageError(
                f"images to classify lie in [{images.min():.4g}, {images.max():.4g}]: expected "
                "finite numbers in [0, 1]"
            )
        logits, features = self.function(tf.constant(images, tf.float32))
        return logits.numpy(), features.numpy()


def load_feature_extractor(source: str, image_shape: tuple[int, int, int]) -> FeatureExtractor:
    """That of a run folder, or ImageNet Inception from a local file of its weights.

    Args:
        source: a run folder of `--model=classifier`, the name of a pretrained one, or an .h5 of
            `keras.applications.InceptionV3` with its top.
        image_shape: `(H, W, C)` of the images to come.

    Raises:
        UsageError: it is neither, or does not take images of so many channels.
    """
    if source in pretrained.names():
        return _of_run(pretrained.open_pretrained(source), image_shape)
    path = user_path(source, "feature_extractor")
    if path.is_dir():
        return _of_run(Run.open(path), image_shape, own=True)
    if path.is_file():
        return _inception(path, image_shape)
    raise UsageError(
        f"feature_extractor={source} does not exist: expected a run folder of --model=classifier, "
        "the name of a pretrained one, or a local file of ImageNet Inception weights (.h5)"
    )


def default_feature_extractor(dataset: str) -> str | None:
    """The name of the pretrained classifier of a data set; None where none comes with the zoo."""
    name = f"{dataset}/classifier"
    return name if name in pretrained.names() else None


def _of_run(run: Run, image_shape: tuple[int, int, int], own: bool = False) -> FeatureExtractor:
    if run.config.model.model != "classifier":
        raise UsageError(
            f"feature_extractor={run.path} is a run of {run.config.model.model}: expected one of "
            "--model=classifier"
        )
    model: Classifier = run.model
    side, described = _door(image_shape, model.image_shape)

    @tf.function(reduce_retracing=True)
    def extract(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return model.network(side(images), training=False)

    step = int(model.step.numpy())
    errors = [m["test_error"] for m in run.history() if m["step"] == step and "test_error" in m]
    known = f"test error {100 * errors[-1]:.2f} %" if errors else "test error unknown"
    # A folder may come to hold other weights, of as many steps and with the same error.
    called = f"{run.name}, weights {model.fingerprint[:8]}" if own else run.name
    name = f"VGG-style, {run.config.data.dataset}, width {model.config.width:g}, step {step}"
    return FeatureExtractor(
        f"{name}, {known} ({called})", described, model.network.head.kernel.shape[0], extract
    )


def _inception(path: Path, image_shape: tuple[int, int, int]) -> FeatureExtractor:
    side, described = _door(image_shape, (INCEPTION_SIDE, INCEPTION_SIDE, 3))
    try:
        # An absolute path is never the word that makes Keras download.
        full = keras.applications.InceptionV3(
            weights=str(path.resolve()), include_top=True, classifier_activation=None
        )
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"feature_extractor={path} is no file of InceptionV3's weights with its top: {reason}"
        ) from None
    pool = full.get_layer("avg_pool").output
    network = keras.Model(full.input, [full.output, pool])

    @tf.function(reduce_retracing=True)
    def extract(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, features = network(2.0 * side(images) - 1.0, training=False)
        return logits, features

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return FeatureExtractor(
        f"ImageNet Inception v3, pool3 features ({path.name}, sha256 {digest})",
        f"{described}, scaled to [-1, 1]",
        pool.shape[-1],
        extract,
    )


def _door(
    image_shape: tuple[int, int, int], wanted: tuple[int, int, int]
) -> tuple[Callable[[tf.Tensor], tf.Tensor], str]:
    """What brings images to the shape a network wants, and how that is called."""
    (height, width, channels), (*size, wanted_channels) = image_shape, wanted
    if channels not in (1, wanted_channels):
        raise UsageError(
            f"the feature extractor takes images of {wanted_channels} channels, not {channels}"
        )
    described = "images not resized"
    if [height, width] != size:
        described = f"images resized from {height}x{width} to {size[0]}x{size[1]}, bilinear"

    def door(images: tf.Tensor) -> tf.Tensor:
        if channels != wanted_channels:
            images = tf.repeat(images, wanted_channels, axis=-1)
        if [height, width] != size:
            # Without antialiasing a shrunken image would keep one pixel in so many.
            images = tf.image.resize(images, size, method="bilinear", antialias=True)
        return images

    return door, described
