"""A Gaussian that learns another one by the density ratio alone (Appendix D)."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.evaluation.latent.density_ratio_kl import RatioOptions
from zoo.losses import as_fake, as_real, reverse_kl
from zoo.networks.critics import CodeCritic

BATCH_SIZE = 64  # chosen; paper.md section 10 [C]
LEARNING_RATE = 1e-4  # of the Gaussian; chosen [C]
_MOST_UPDATES = 500  # of one call of the compiled loop; chosen


class GaussianLearner:
    """x2 = A2 e + b2 learns the law of x1 = A1 e + b1. With D = P(from p1), alternately 1:1,

        critic:   -log D(x1) - log(1 - D(x2))
        learner:  E[-d(x2)], the density ratio estimate of KL(p2 || p1)        [R, H]

    Sets the global seeds, from which Keras draws initial weights.

    Args:
        target: A1 `[d, k]`, b1 `[d]`.
        start: A2 and b2 at the beginning.
        options: of the critic.
        seed: of weights and noise.
    """

    def __init__(
        self,
        target: tuple[np.ndarray, np.ndarray],
        start: tuple[np.ndarray, np.ndarray],
        options: RatioOptions,
        seed: int,
    ):
        keras.utils.set_random_seed(seed)
        size = len(target[1])
        self._target = [tf.constant(part, tf.float32) for part in target]
        self._own = [keras.Variable(part.astype(np.float32)) for part in start]
        self._critic = CodeCritic(size, options.units, 1.0, options.hidden_layers)
        self._noise = tf.random.Generator.from_seed(seed, alg="philox")
        adam = {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-8}
        self._critic_optimizer = keras.optimizers.Adam(options.learning_rate, **adam)
        self._critic_optimizer.build(self._critic.trainable_variables)
        self._optimizer = keras.optimizers.Adam(LEARNING_RATE, **adam)
        self._optimizer.build(self._own)
        self._compiled = tf.function(self._updates)
        self.steps = 0

    def gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        """A2 and b2 as they are."""
        a, b = (variable.numpy() for variable in self._own)
        return a, b

    def train(self, steps: int, bar: tqdm | None = None) -> None:
        """Makes `steps` updates of each side."""
        end = self.steps + steps
        while self.steps < end:
            count = min(end - self.steps, _MOST_UPDATES)
            self._compiled(tf.constant(count))
            self.steps += count
            if bar is not None:
                bar.update(count)

    def estimate(self, count: int) -> float:
        """The learner's loss on `count` fresh draws: the estimate of KL(p2 || p1), nats."""
        return float(tf.reduce_mean(reverse_kl(self._critic(self._draw(self._own, count)))))

    def _draw(self, gaussian: list, count: int) -> tf.Tensor:
        a, b = (tf.convert_to_tensor(part) for part in gaussian)
        return self._noise.normal([count, a.shape[1]]) @ tf.transpose(a) + b

    def _updates(self, count: tf.Tensor) -> None:
        for _ in tf.range(count):
            with tf.GradientTape(persistent=True) as tape:
                own = self._draw(self._own, BATCH_SIZE)
                other = self._draw(self._target, BATCH_SIZE)
                logits = self._critic(tf.concat([other, own], axis=0), training=True)
                real, fake = tf.split(logits, 2)
                critic_loss = tf.reduce_mean(as_real(real) + as_fake(fake))
                loss = tf.reduce_mean(reverse_kl(fake))
            critic_variables = self._critic.trainable_variables
            critic_gradients = tape.gradient(critic_loss, critic_variables)
            gradients = tape.gradient(loss, self._own)
            self._critic_optimizer.apply(critic_gradients, critic_variables)
            self._optimizer.apply(gradients, self._own)
