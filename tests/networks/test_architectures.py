"""Output shapes and parameter counts of paper.md sections 4 and 12 (oracle 15)."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import UsageError
from zoo.networks import color_mnist, dcgan, family, family_name, layers
from zoo.registry import NETWORKS

PAGE = Path(__file__).parents[2] / "docs/networks.md"


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


def published_decoder(latent_size, side, width):
    """The decoder for squares of powers of two, layer by layer."""
    maps = [layers.scaled(m, width) for m in (64, 128, 256, 512, 1024)[: side.bit_length() - 3]]
    stack = [keras.Input((latent_size,)), layers.dense(16 * maps[-1], use_bias=False)]
    stack += [keras.layers.Reshape((4, 4, maps[-1]))]
    for m in (*maps[-2::-1], 3):
        stack += [layers.batch_norm(), keras.layers.ReLU(), layers.conv_transpose(m, 4, 2)]
    return keras.Sequential(stack, name="decoder")


def published_trunk(side, width):
    """The critic's trunk likewise."""
    stack = [keras.Input((side, side, 3)), layers.to_symmetric_range()]
    for m in (64, 128, 256, 512, 1024)[: side.bit_length() - 3]:
        stack += [layers.conv(layers.scaled(m, width), 4, 2)]
        stack += [layers.batch_norm()] if m > 64 else []
        stack += [layers.leaky_relu()]
    return keras.Sequential([*stack, keras.layers.Flatten()], name="image_critic_trunk")


@pytest.mark.parametrize("side", [32, 64, 128])
def test_squares_of_powers_of_two_have_the_published_networks(side):
    """Layer by layer, with the same initial weights: runs of these sizes stay what they are."""
    for published, made in (
        (
            lambda: published_decoder(5, side, 0.06),
            lambda: dcgan.decoder(5, (side, side, 3), 3, 0.06),
        ),
        (
            lambda: published_trunk(side, 0.06),
            lambda: dcgan.image_critic_trunk((side, side, 3), 0.06),
        ),
    ):
        networks = []
        for make in (published, made):
            keras.utils.clear_session()
            keras.utils.set_random_seed(4)
            networks.append(make())
        one, other = networks
        assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
        assert [v.path for v in one.variables] == [v.path for v in other.variables]
        for expected, weights in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, expected)
        x = np.random.default_rng(0).random((2, *one.input_shape[1:]), np.float32)
        np.testing.assert_array_equal(one(x), other(x))


SIZES = [(28, 28), (32, 32), (64, 64), (128, 128), (16, 16), (16, 24), (17, 31), (75, 100)]


@pytest.mark.parametrize(("height", "width"), [*SIZES, (16, 256)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_shapes_of_every_family(height, width, channels):
    shape = (height, width, channels)
    images = tf.random.stateless_uniform((2, *shape), (0, 0))
    for name, entry in NETWORKS.items():
        if entry.fits(shape):
            networks = family(shape, name)
            decoder = networks.decoder(5, shape, 2 * channels, 0.03)
            assert decoder(tf.zeros((2, 5))).shape == (2, height, width, 2 * channels)
            for trunk in (networks.encoder_trunk, networks.image_critic_trunk):
                features = trunk(shape, 0.03)(images)
                assert features.shape.rank == 2 and len(features) == 2


def test_every_side_ends_in_4_to_7_pixels():
    for side in range(16, 257):
        steps = dcgan.sizes((side, 16, 1))
        assert 4 <= steps[-1][0] <= 7 and steps[-1][1] == 4
        assert all(b in (a, (a + 1) // 2) for (a, _), (b, _) in itertools.pairwise(steps))


def test_the_decoder_is_the_mirror_of_the_encoder():
    """A transposed convolution is the gradient of the convolution with the same kernel, where a
    side is odd and where one side alone is halved as well."""
    shape = (13, 5, 1)
    trunk = dcgan.encoder_trunk(shape, 1 / 64)
    decoder = dcgan.decoder(2, shape, 1, 1 / 64)
    forward = next(layer for layer in trunk.layers if "conv" in layer.name)
    backward = [layer for layer in decoder.layers if "conv" in layer.name][-1]
    backward.kernel.assign(forward.kernel)
    place = decoder.layers.index(backward)
    small = tf.random.stateless_normal((2, 7, 5, 1), (1, 2))
    images = tf.Variable(tf.zeros((2, *shape)))
    with tf.GradientTape() as tape:
        product = tf.reduce_sum(forward(images) * small)
    seen = small
    for layer in decoder.layers[place:]:
        seen = layer(seen)
    np.testing.assert_allclose(seen, tape.gradient(product, images), atol=1e-6)


def test_the_page_has_the_sizes_of_the_code():
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if "x" in line]
    rows = [[cell.strip() for cell in row] for row in rows if len(row) == 6 and row[1].strip()]
    table = [row for row in rows if row[0].strip()[0].isdigit()]
    assert len(table) >= 8
    for image, steps, maps, features, decoder, critic in table:
        height, width = map(int, image.split("x"))
        shape = (height, width, 3)
        assert [f"{h}x{w}" for h, w in dcgan.sizes(shape)[1:]] == steps.split()
        if height * width > 64 * 64:
            continue  # what follows takes seconds and memory
        trunk, head = dcgan.image_critic_trunk(shape, 1.0, False), dcgan.image_critic_head()
        head.build(trunk.output_shape)
        found = [layer.filters for layer in trunk.layers if "conv" in layer.name]
        assert found == [int(m) for m in maps.split()]
        counts = (
            trunk.output_shape[-1],
            trainable(dcgan.decoder(128, shape, 3, 1.0)),
            trainable(trunk) + trainable(head),
        )
        assert [f"{count:,}" for count in counts] == [features, decoder, critic]


def test_keras_settings_are_the_papers():
    trunk = color_mnist.image_critic_trunk((28, 28, 3), 1.0)
    norms = [layer for layer in trunk.layers if "batch_norm" in layer.name]
    assert len(norms) == 4  # none after the first layer
    assert all((n.momentum, n.epsilon) == (0.9, 1e-5) for n in norms)
    leaks = [layer for layer in trunk.layers if "leaky" in layer.name]
    assert all(layer.negative_slope == pytest.approx(0.2) for layer in leaks)
    kernel = np.concatenate([v.numpy().ravel() for v in conv_kernels(trunk)])
    assert kernel.std() == pytest.approx(0.02, rel=0.02)


def test_the_default_of_a_size():
    assert family_name((28, 28, 1)) == "color_mnist"
    for shape in ((32, 32, 3), (64, 64, 3), (128, 128, 3), (28, 29, 3), (16, 256, 4)):
        assert family_name(shape) == "dcgan"


@pytest.mark.parametrize(
    ("shape", "name", "message"),
    [
        ((15, 30, 3), None, r"images of the shape \[15, 30, 3\]: expected 1 to 4 channels and"),
        ((64, 257, 3), None, r"16 to 256 pixels a side \(dcgan\), squares of 32 or 64 \(resnet\)"),
        ((32, 32, 5), None, r"\[32, 32, 5\]: expected 1 to 4 channels and"),
        ((28, 28, 3), "resnet", r"no networks of resnet .* squares of 32 or 64 \(resnet\)$"),
        ((32, 64, 3), "resnet", r"no networks of resnet .* squares of 32 or 64"),
        ((32, 32, 3), "color_mnist", r"no networks of color_mnist .* squares of 28"),
    ],
)
def test_other_images_are_refused(shape, name, message):
    with pytest.raises(UsageError, match=message):
        family(shape, name)
