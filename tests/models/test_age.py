"""AGE's divergence, losses and codes, on arrays that are given."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import Given, Point, k, s, tensor, with_parts
from tests.models.training import BATCH, IMAGES, compiled
from tests.models.variants import tiny_model
from zoo.distributions.code_distributions import on_sphere
from zoo.models.age import moment_kl, published_moment_kl
from zoo.noise import row_noise, step_noise

X = tf.zeros([4, 28, 28, 3])
SAMPLES, REBUILT = X + 1.0, X + 0.25


def unit(codes):
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("divergence", "codes", "expected"),
    [
        (moment_kl, s(4, 3), 0.3010076639),
        (published_moment_kl, s(4, 3), 0.7526724740),
        (moment_kl, unit(s(4, 3)), 0.4175750382),
        (published_moment_kl, unit(s(4, 3)), 1.0804798222),
        (moment_kl, on_sphere(tensor(s(4, 3))), 0.2016022272),
    ],
)
def test_known_divergences(divergence, codes, expected):
    assert float(divergence(tensor(codes))) == pytest.approx(expected, rel=1e-6)


def test_a_standard_normal_has_none(rng):
    z = rng.standard_normal((100_000, 3))
    standard = tensor((z - z.mean(axis=0)) / z.std(axis=0))
    assert abs(float(moment_kl(standard))) < 1e-6
    # What the unit sphere leaves where all directions are alike.
    floor = float(moment_kl(tensor(np.concatenate([np.eye(64), -np.eye(64)]))))
    assert floor == pytest.approx(1.5872540417, rel=1e-6)


def losses(monkeypatch, codes, sample_codes, **settings):
    """The losses where the data have `codes`, and samples of K(4, 3) have `sample_codes`."""
    model = with_parts(
        monkeypatch,
        {"model": "age", **settings},
        generate=lambda z, training: SAMPLES if np.allclose(z, k(4, 3)) else REBUILT,
        posterior=lambda x, training: Point(sample_codes if x is SAMPLES else codes),
    )
    found, report = model.losses(X, Given(prior=k(4, 3)))
    np.testing.assert_allclose(report["l1"], np.full(4, 0.25))
    return {player: float(loss) for player, loss in found.items()}, report


def test_known_answer(monkeypatch):
    """Of data that lie where the samples do in the source's example, and of samples elsewhere."""
    codes, samples = s(4, 3), k(4, 3) + 0.5 * s(4, 3)
    found, report = losses(monkeypatch, codes, samples, posterior="deterministic")
    kl_samples = float(report["kl_samples"][0])
    mean, variance = samples.mean(axis=0), samples.var(axis=0)
    expected = 0.5 * np.mean(variance + mean**2 - 1 - np.log(variance))
    assert kl_samples == pytest.approx(expected, rel=1e-6)
    assert found["encoder"] == pytest.approx(0.3010076639 - expected + 20 * 0.25, rel=1e-6)
    angle = np.mean(1 - np.sum(unit(k(4, 3)) * unit(samples), axis=1))
    assert found["decoder"] == pytest.approx(expected + 1000 / 3 * angle, rel=1e-6)


def test_known_answer_of_the_match(monkeypatch):
    found, report = losses(monkeypatch, s(4, 3), s(4, 3), posterior="deterministic")
    assert float(np.mean(report["cosine_distance"])) == pytest.approx(1.1143246652, rel=1e-6)
    assert found["encoder"] == pytest.approx(20 * 0.25, rel=1e-6)
    assert found["decoder"] == pytest.approx(0.3010076639 + 1000 / 3 * 1.1143246652, rel=1e-6)


def test_the_published_divergence_is_that_of_the_unit_sphere(monkeypatch):
    codes = on_sphere(tensor(s(4, 3)))
    _, report = losses(monkeypatch, codes, codes, moment_divergence="published")
    np.testing.assert_allclose(report["kl_data"], np.full(4, 1.0804798222), rtol=1e-6)
    _, report = losses(monkeypatch, codes, codes)
    np.testing.assert_allclose(report["kl_data"], np.full(4, 0.2016022272), rtol=1e-6)


def test_the_gradient_is_that_of_the_unit_sphere():
    gradients = []
    for scale in (1.0, 3**-0.5):
        codes = tensor(s(4, 3))
        with tf.GradientTape() as tape:
            tape.watch(codes)
            value = moment_kl(scale * on_sphere(codes))
        gradients.append(tape.gradient(value, codes))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_codes_lie_on_the_sphere_and_the_decoder_takes_directions():
    model, images = tiny_model({"model": "age"}), tf.constant(IMAGES[0])
    codes = model.encode(images)["z"]
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), np.full(BATCH, 3**0.5), rtol=1e-6)
    decoded = model.decode(codes)["images"]
    np.testing.assert_allclose(model.decode(7.0 * codes)["images"], decoded, atol=1e-6)
    drawn = model.sample(seed=row_noise(tf.constant([1, 2])))
    np.testing.assert_allclose(model.decode(drawn["z"])["images"], drawn["images"], atol=1e-6)
    plain = tiny_model({"model": "age", "posterior": "deterministic"})
    assert not np.allclose(plain.decode(7.0 * codes)["images"], plain.decode(codes)["images"])


def test_no_term_of_the_data_reaches_the_decoder():
    model, noise = tiny_model({"model": "age"}), step_noise(0, 1, BATCH)
    variables = [v.value for v in model.decoder.trainable_variables]
    gradients = []
    for images in IMAGES[:2]:
        with tf.GradientTape() as tape:
            loss = model.losses(tf.constant(images), noise)[0]["decoder"]
        gradients.append(tape.gradient(loss, variables))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_decoder_is_updated_as_often_as_it_says_and_on_fresh_draws(monkeypatch):
    model, seen = compiled({"model": "age", "decoder_updates": 3}), []
    real = type(model).losses

    def spy(self, images, noise, training=True):
        seen.append((images, noise.normal("prior", (3,))))
        return real(self, images, noise, training)

    monkeypatch.setattr(type(model), "losses", spy)
    model.train_step(tf.stack([tf.constant(i) for i in IMAGES[:3]], axis=1))
    assert int(model.optimizers["decoder"].iterations) == 3
    assert int(model.optimizers["encoder"].iterations) == 1
    for (images, z), (others, draws) in zip(seen, seen[1:], strict=False):
        assert not np.allclose(images, others) and not np.allclose(z, draws)


def test_the_encoder_is_built_as_a_critic():
    trunk = tiny_model({"model": "age"}).encoder.trunk
    critic = tiny_model({"model": "dcgan"}).image_critic.trunk
    assert [type(layer) for layer in trunk.layers] == [type(layer) for layer in critic.layers]
    assert trunk.count_params() == critic.count_params()
