"""Keras's global settings, as the zoo needs them, whatever `~/.keras/keras.json` says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def keras_settings(dtype_policy: str = "float32") -> Iterator[None]:
    """What is built or run inside has this dtype policy, channels last and float32 metrics; the
    caller's own settings come back after."""
    config = keras.config
    before = config.dtype_policy(), config.floatx(), config.image_data_format(), config.epsilon()
    try:
        config.set_floatx("float32")
        config.set_image_data_format("channels_last")
        config.set_epsilon(1e-7)
        config.set_dtype_policy(dtype_policy)
        yield
    finally:
        policy, floatx, image_data_format, epsilon = before
        config.set_floatx(floatx)
        config.set_image_data_format(image_data_format)
        config.set_epsilon(epsilon)
        config.set_dtype_policy(policy)
