"""The residual networks: shapes, and the parameter counts of the published code."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.variants import TINY
from zoo.config import ModelConfig
from zoo.models import build_model
from zoo.networks import resnet


def trainable(*networks):
    return sum(int(np.prod(v.shape)) for n in networks for v in n.trainable_variables)


def critic(side, batch_norm):
    trunk, head = (
        resnet.image_critic_trunk((side, side, 3), 1.0, batch_norm),
        resnet.image_critic_head(),
    )
    head.build(trunk.output_shape)
    return trunk, head


# Of gan_cifar_resnet.py without classes, and of gan_64x64.py, summed by hand over their layers; the
# generator of 32 less the first bias of its three blocks, which batch norm makes idle.
@pytest.mark.parametrize(
    ("side", "generator", "under_penalty"),
    [(32, 1_204_483 - 3 * 128, 1_053_825), (64, 8_540_483, 7_491_841)],
)
def test_the_counts_are_those_of_the_published_code(side, generator, under_penalty):
    assert trainable(resnet.decoder(128, (side, side, 3), 3, 1.0)) == generator
    assert trainable(*critic(side, batch_norm=False)) == under_penalty


def sizes(network):
    return [tuple(layer.output.shape[1:]) for layer in network.layers if "add" in layer.name]


def test_the_blocks_of_32():
    decoder = resnet.decoder(128, (32, 32, 3), 3, 1.0)
    assert sizes(decoder) == [(8, 8, 128), (16, 16, 128), (32, 32, 128)]
    trunk, _ = critic(32, batch_norm=False)
    assert sizes(trunk) == [(16, 16, 128), (8, 8, 128), (8, 8, 128), (8, 8, 128)]
    assert trunk.output_shape == (None, 128)
    assert not [layer.name for layer in trunk.layers if "normalization" in layer.name]
    trunk, _ = critic(32, batch_norm=True)
    assert sum("batch_norm" in layer.name for layer in trunk.layers) == 6  # none in the first block


def test_the_blocks_of_64():
    decoder = resnet.decoder(128, (64, 64, 3), 3, 1.0)
    assert sizes(decoder) == [(8, 8, 512), (16, 16, 256), (32, 32, 128), (64, 64, 64)]
    trunk, _ = critic(64, batch_norm=False)
    assert sizes(trunk) == [(32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 512)]
    assert trunk.output_shape == (None, 8192)
    kinds = {layer.name.rpartition("_")[0] or layer.name for layer in trunk.layers}
    assert "group_normalization" in kinds and "batch_normalization" not in kinds


@pytest.mark.parametrize("side", [32, 64])
def test_the_encoder_is_the_mirror_of_the_decoder(side):
    shape = (side, side, 3)
    trunk, decoder = resnet.encoder_trunk(shape, 1.0), resnet.decoder(128, shape, 3, 1.0)
    stem = next(layer for layer in trunk.layers if "conv" in layer.name)
    assert [tuple(stem.output.shape[1:]), *sizes(trunk)][-2::-1] == sizes(decoder)
    assert trunk.output_shape == (None, 4 * 4 * resnet.GENERATOR[side][0])


def test_initial_weights_are_the_published_ones():
    """Uniform, of the variance 4 / (fan in + fan out), and half of it in shortcuts."""
    decoder = resnet.decoder(128, (32, 32, 3), 3, 1.0)
    convolutions = [layer for layer in decoder.layers if "conv2d" in layer.name]
    for layer in convolutions:
        fans = layer.kernel.shape[0] ** 2 * sum(layer.kernel.shape[2:])
        scale = 4.0 if layer.kernel.shape[0] == 3 and layer.filters != 3 else 2.0
        values = layer.kernel.numpy()
        assert values.std() == pytest.approx((scale / fans) ** 0.5, rel=0.03)
        assert np.abs(values).max() <= (3 * scale / fans) ** 0.5


@pytest.mark.parametrize("model", ["vae", "wgan_gp", "dcgan"])
@pytest.mark.parametrize("side", [32, pytest.param(64, marks=pytest.mark.slow)])
def test_models_learn_with_them(model, side):
    config = ModelConfig(model=model, network="resnet", **TINY)
    built = build_model(config, (side, side, 3))
    assert built.config.network == "resnet"
    built.compile(seed=1)
    before = {name: variable.numpy() for name, variable in built.state.items()}
    batch = np.random.default_rng(0).random((4, side, side, 3), np.float32)
    images = tf.stack([batch] * built.passes, axis=1) if built.passes > 1 else tf.constant(batch)
    for _ in range(2):
        logs = built.train_step(images)
    assert all(np.isfinite(float(value)) for value in logs.values())
    still = {n for n, v in built.state.items() if np.array_equal(v.numpy(), before[n])}
    still -= {name for name in still if name.startswith("optimizer/")}
    # A constant cancels in the difference of two means, which a Wasserstein critic is trained on:
    # its last bias, and those of maps that no image of the batch switches off.
    biases = {name for name in built.state if name.startswith("image_critic/") and "bias" in name}
    assert still <= biases if model == "wgan_gp" else not still
