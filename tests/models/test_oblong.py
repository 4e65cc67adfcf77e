"""Grey images that are not square, through every model, its signatures and the portable bundle."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.models.variants import TINY
from zoo.noise import row_noise
from zoo.registry import LIKELIHOODS
from zoo.saved_model.signatures import portable_functions, signature_functions

SHAPE = (16, 24, 1)
IMAGES = np.random.default_rng(0).random((4, *SHAPE), np.float32)
SEEDS = tf.constant([1, 2, 3, 4])
VARIANTS = [{"model": name} for name in zoo.MODELS]
VARIANTS += [{"model": "vae", "likelihood": name} for name in list(LIKELIHOODS)[1:]]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(v.values()))
def test_models_train_and_give_images_of_that_shape(variant):
    model = zoo.create_model(image_shape=SHAPE, **TINY, **variant)
    assert model.config.network == "dcgan"
    model.compile()
    images = tf.constant(IMAGES)
    images = tf.stack([images] * model.passes, axis=1) if model.passes > 1 else images
    for _ in range(2):
        logs = model.train_step(images)
    assert np.isfinite([float(value) for value in logs.values()]).all()
    functions = signature_functions(model)
    if "sample" in functions:
        assert functions["sample"](SEEDS)["images"].shape == (4, *SHAPE)
    if "elbo" in functions:
        bound = functions["elbo"](tf.constant(IMAGES), SEEDS)
        assert all(values.shape == (4,) and np.isfinite(values).all() for values in bound.values())


def test_the_portable_functions_are_the_signatures():
    model = zoo.VAE(image_shape=SHAPE, **TINY)
    functions, portable = signature_functions(model), portable_functions(model)
    noise = row_noise(SEEDS).normal("posterior", (3,))
    for key, values in functions["elbo"](tf.constant(IMAGES), SEEDS).items():
        seen = portable["elbo_noise"](tf.constant(IMAGES), noise)[key]
        np.testing.assert_allclose(seen, values, rtol=1e-6)


@pytest.mark.clients
@pytest.mark.parametrize("shape", [SHAPE, (17, 31, 1)], ids=str)
def test_onnx_gives_the_same_images(shape, tmp_path):
    import onnxruntime

    from zoo.export.portable import write_portable

    (tmp_path / "assets.extra").mkdir()
    functions = portable_functions(zoo.VAE(image_shape=shape, **TINY))
    write_portable(tmp_path, functions, [], ["onnx"])
    z = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    file = tmp_path / "assets.extra/portable/decode.onnx"
    (images,) = onnxruntime.InferenceSession(str(file)).run(["images"], {"z": z})
    np.testing.assert_allclose(images, functions["decode"](z)["images"], rtol=0, atol=1e-5)
