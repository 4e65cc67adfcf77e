"""Affine coupling flow of the RealNVP posterior (Dinh et al. 2017; paper.md section 8).

The paper names the flow but not its structure [P]; what is here is chosen [C].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

LOG_SCALE_LIMIT = 2.0  # chosen: one coupling stretches by at most e^2


class CouplingNet(keras.layers.Layer):
    """One half of a code `[..., D/2]` -> shift and log-scale of the other half.

    Two hidden ReLU layers; the log-scale is `2 tanh`; the last layer starts at zero, so that the
    coupling starts as the identity. float32 under any dtype policy.

    Args:
        latent_size: D. For odd D the halves differ by one.
        first_half: whether the first half conditions the second, or the second the first.
        hidden: units of each hidden layer.
        context: whether a context `[N, hidden]` joins the first hidden layer.
    """

    def __init__(self, latent_size: int, first_half: bool, hidden: int, context: bool):
        super().__init__(dtype="float32")
        half = latent_size // 2
        # As tfb.RealNVP counts: negative from the end.
        self.num_masked = half if first_half else half - latent_size
        self.hidden, self.context = hidden, context
        self.first = keras.layers.Dense(hidden, dtype="float32")
        self.second = keras.layers.Dense(hidden, activation="relu", dtype="float32")
        self.last = keras.layers.Dense(
            2 * (latent_size - abs(self.num_masked)), kernel_initializer="zeros", dtype="float32"
        )
        if context:
            # Added, not concatenated: codes with sample axes in front then broadcast against it.
            self.from_context = keras.layers.Dense(hidden, use_bias=False, dtype="float32")

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; the sizes are known beforehand."""
        self.first.build((None, abs(self.num_masked)))
        self.second.build((None, self.hidden))
        self.last.build((None, self.hidden))
        if self.context:
            self.from_context.build((None, self.hidden))

    def call(
        self, half: tf.Tensor, context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Shift and log-scale of the other half."""
        h = self.first(half)
        if self.context:
            h = h + self.from_context(context)
        shift, log_scale = tf.split(self.last(self.second(tf.nn.relu(h))), 2, axis=-1)
        return shift, LOG_SCALE_LIMIT * tf.tanh(log_scale)


def coupling_nets(
    latent_size: int, couplings: int, hidden: int, context: bool
) -> list[CouplingNet]:
    """The nets of a flow; the halves take turns."""
    return [CouplingNet(latent_size, i % 2 == 0, hidden, context) for i in range(couplings)]


def real_nvp(nets: Sequence[CouplingNet], context: tf.Tensor | None) -> tfb.Bijector:
    """The flow u -> z over events `[D]`, the couplings applied in the order of `nets`.

        z_a = u_a,   z_b = u_b * exp(s(u_a)) + t(u_a),   log|det dz/du| = sum s

    Build it per call: Keras tracks the nets, not what a bijector holds.
    """
    return tfb.Chain([_coupling(net, context) for net in reversed(nets)])


def _coupling(net: CouplingNet, context: tf.Tensor | None) -> tfb.Bijector:
    # TFP refuses a Keras layer itself here.
    return tfb.RealNVP(
        num_masked=net.num_masked, shift_and_log_scale_fn=lambda half, *_, **__: net(half, context)
    )
