"""Output shapes and parameter counts of paper.md sections 4 and 12 (oracle 15)."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import UsageError
from zoo.networks import color_mnist, dcgan, family, family_name
from zoo.registry import NETWORKS


def trainable(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize(
    ("side", "decoder", "critic", "critic_without_bn"),
    [(64, 3_806_080, 2_765_568, 2_763_776), (32, 1_183_616, 663_296, 662_528)],
)
def test_dcgan_parameter_counts(side, decoder, critic, critic_without_bn):
    shape = (side, side, 3)
    assert trainable(dcgan.decoder(128, shape, 3, 1.0)) == decoder
    for batch_norm, count in ((True, critic), (False, critic_without_bn)):
        trunk = dcgan.image_critic_trunk(shape, 1.0, batch_norm)
        head = dcgan.image_critic_head()
        head.build(trunk.output_shape)
        assert trainable(trunk) + trainable(head) == count


def conv_kernels(network):
    return [
        v for layer in network.layers if "conv" in layer.name for v in layer.trainable_variables
    ]


def test_color_mnist_critic_is_table_4():
    trunk = color_mnist.image_critic_trunk((28, 28, 3), 1.0)
    shapes = [tuple(layer.output.shape[1:]) for layer in trunk.layers if "conv" in layer.name]
    assert shapes == [(14, 14, 8), (14, 14, 16), (7, 7, 32), (7, 7, 64), (4, 4, 64)]
    # 170,384 of Table 4 less its 184 biases, which batch norm makes idle.
    assert sum(int(np.prod(v.shape)) for v in conv_kernels(trunk)) == 170_384 - 184
    assert trunk.output_shape == (None, 1024)


def test_color_mnist_decoder_is_table_5():
    decoder = color_mnist.decoder(50, (28, 28, 3), 3, 1.0)
    shapes = [tuple(layer.output.shape[1:]) for layer in decoder.layers if "conv" in layer.name]
    assert shapes == [(14, 14, 64), (14, 14, 32), (28, 28, 3)]
    kernels = [tuple(v.shape) for v in conv_kernels(decoder)]
    assert kernels == [(5, 5, 64, 64), (5, 5, 32, 64), (5, 5, 3, 32)]
    assert tuple(decoder.layers[0].kernel.shape) == (50, 7 * 7 * 64)


def test_color_mnist_encoder_mirrors_it():
    trunk = color_mnist.encoder_trunk((28, 28, 3), 1.0)
    shapes = [tuple(layer.output.shape[1:]) for layer in trunk.layers if "conv" in layer.name]
    assert shapes == [(14, 14, 32), (14, 14, 64), (7, 7, 64)]


@pytest.mark.parametrize(
    ("name", "side"), [(name, side) for name, found in NETWORKS.items() for side in found.sides]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_of_every_family(name, side, channels):
    shape = (side, side, channels)
    networks = family(shape, name)
    images = tf.random.stateless_uniform((2, *shape), (0, 0))
    decoder = networks.decoder(5, shape, 2 * channels, 0.125)
    assert decoder(tf.zeros((2, 5))).shape == (2, side, side, 2 * channels)
    assert networks.encoder_trunk(shape, 0.125)(images).shape[0] == 2
    assert networks.image_critic_trunk(shape, 0.125)(images).shape[0] == 2


def test_keras_settings_are_the_papers():
    trunk = color_mnist.image_critic_trunk((28, 28, 3), 1.0)
    norms = [layer for layer in trunk.layers if "batch_norm" in layer.name]
    assert len(norms) == 4  # none after the first layer
    assert all((n.momentum, n.epsilon) == (0.9, 1e-5) for n in norms)
    leaks = [layer for layer in trunk.layers if "leaky" in layer.name]
    assert all(layer.negative_slope == pytest.approx(0.2) for layer in leaks)
    kernel = np.concatenate([v.numpy().ravel() for v in conv_kernels(trunk)])
    assert kernel.std() == pytest.approx(0.02, rel=0.02)


def test_the_first_family_for_a_size_is_its_default():
    assert [family_name((n, n, 3)) for n in (28, 32, 128)] == ["color_mnist", "dcgan", "dcgan"]


def test_other_sizes_are_refused():
    for shape in ((30, 30, 3), (64, 32, 3)):
        with pytest.raises(UsageError, match="no networks for images of"):
            family(shape)
