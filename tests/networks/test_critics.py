"""Critics of codes and of pairs: layers and sizes of paper.md section 4."""

import keras
import pytest

from zoo.networks import color_mnist
from zoo.networks.critics import CodeCritic, JointCritic


def kernels(network):
    return [tuple(v.shape) for v in network.trainable_variables if len(v.shape) > 1]


@pytest.mark.parametrize("units", [1000, 5000])
def test_code_critic_has_three_hidden_layers_without_batch_norm(units):
    critic = CodeCritic(50, units, width=1.0)
    assert kernels(critic) == [(50, units), (units, units), (units, units), (units, 1)]
    kinds = [type(layer).__name__ for layer in critic.stack.layers]
    assert kinds == ["Dense", "LeakyReLU"] * 3 + ["Dense"]
    assert critic(keras.ops.zeros((7, 50))).shape == (7,)


def test_joint_critic_is_table_6():
    critic = JointCritic(color_mnist, (28, 28, 3), 50, width=1.0)
    assert kernels(critic.code_tower) == [(50, 512), (512, 512)]
    assert kernels(critic.head) == [(1024 + 512, 1024), (1024, 1)]
    images, z = keras.ops.zeros((7, 28, 28, 3)), keras.ops.zeros((7, 50))
    assert critic(images, z).shape == (7,)
