"""The regularised autoencoder: its terms on given images and codes, and what it cannot do."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.flags.in_process import call
from tests.models.known import Given, Point, k, s, tensor, with_parts
from tests.models.training import IMAGES
from tests.models.variants import tiny_model
from zoo.errors import UsageError
from zoo.losses import decoder_slope
from zoo.networks.spectral_norm import SpectralNorm

X, Y = (tensor(0.5 + 0.5 * values(2, 4).reshape(2, 2, 2, 1)) for values in (s, k))
Z = np.sin(np.add.outer(np.arange(2), np.arange(3)))
ERROR, SQUARE = (0.1098202092, 0.3494967893), (0.5116317429, 0.5182700285)


def losses(monkeypatch, **settings):
    """The losses and the penalty where images are X, codes Z and reconstructions Y."""
    model = with_parts(
        monkeypatch,
        {"model": "rae", "code_weight": 0.3, **settings},
        posterior=lambda x, training: Point(Z),
        generate=lambda z, training: Y,
    )
    found, report = model.losses(X, Given())
    np.testing.assert_allclose(report["squared_error"], ERROR, rtol=1e-6)
    np.testing.assert_allclose(report["code_square"], SQUARE, rtol=1e-6)
    assert found["encoder"] is found["decoder"]
    return model, float(found["decoder"]), report["penalty"].numpy()


@pytest.mark.parametrize("regularization", ["spectral", "none"])
def test_known_answer(monkeypatch, regularization):
    _, loss, penalty = losses(monkeypatch, regularization=regularization)
    assert loss == pytest.approx(np.mean(ERROR) + 0.3 * np.mean(SQUARE), rel=1e-6)
    np.testing.assert_array_equal(penalty, np.zeros(2))


def test_the_squares_of_the_decoders_kernels(monkeypatch):
    model, loss, penalty = losses(monkeypatch, regularization_weight=0.01)
    kernels = [w.numpy() for w in model.decoder.weights if w.name == "kernel"]
    assert len(kernels) == 4
    expected = 0.01 * sum(np.sum(np.square(kernel, dtype=np.float64)) for kernel in kernels)
    np.testing.assert_allclose(penalty, [expected] * 2, rtol=1e-5)
    plain = np.mean(ERROR) + 0.3 * np.mean(SQUARE)
    assert loss == pytest.approx(plain + expected, rel=1e-6)


def test_the_slope_of_the_squared_output():
    """Of x = W z it is 2 W^T W z."""
    matrix, z = np.random.default_rng(0).normal(size=(12, 3)), k(2, 3)
    images, slope = decoder_slope(
        lambda codes: tf.reshape(codes @ tensor(matrix.T), [-1, 2, 2, 3]), tensor(z)
    )
    np.testing.assert_allclose(tf.reshape(images, [2, 12]), z @ matrix.T, rtol=1e-5)
    expected = np.mean(np.square(2 * z @ matrix.T @ matrix), axis=1)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_the_slope_is_weighed_and_has_a_gradient_for_both_players(monkeypatch):
    variant = {"model": "rae", "regularization": "gradient", "regularization_weight": 0.5}
    model, images = tiny_model(variant), tf.constant(IMAGES[0])
    with tf.GradientTape() as tape:
        _, report = model.losses(images, Given())
    codes = model.posterior(images, training=True).point()
    slope = decoder_slope(lambda z: model.generate(z, training=True), codes)[1]
    np.testing.assert_allclose(report["penalty"], 0.5 * slope, rtol=1e-4)
    players = {p: [v.value for v in model.player_variables(p)] for p in model.players}
    for gradients in tape.gradient(report["penalty"], players).values():
        assert all(gradient is not None for gradient in gradients)


def test_the_decoder_alone_is_normalised():
    model = tiny_model({"model": "rae", "regularization": "spectral"})
    assert isinstance(model.decoder, SpectralNorm) and len(model.decoder.kernels) == 4
    assert not isinstance(model.encoder, SpectralNorm)
    assert not isinstance(tiny_model({"model": "rae"}).decoder, SpectralNorm)


def test_it_has_no_prior():
    model = tiny_model({"model": "rae"})
    assert model.available_signatures == ("decode", "encode", "sample_posterior")
    for draw in (lambda: model.sample(2), lambda: model.sample_prior(2)):
        with pytest.raises(UsageError, match="has no prior to sample from: zoo-fit-prior"):
            draw()
    np.testing.assert_array_equal(
        model.sample_posterior(IMAGES[0])["z"], model.encode(IMAGES[0])["z"]
    )
    assert model.predict(IMAGES[0], verbose=0).shape == IMAGES[0].shape
    with pytest.raises(UsageError, match="rae does not take prior=standard_normal: expected one"):
        zoo.create_model("rae", prior="standard_normal")
    with pytest.raises(UsageError, match="vae does not take prior=none: expected one"):
        zoo.create_model("vae", prior="none")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tiny = {"width": 0.06, "latent_size": 3, "steps": 2, "batch_size": 8}
    return zoo.train(tmp_path_factory.mktemp("rae") / "run", model="rae", **tiny)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("sample", ("--output=samples.png",)),
        ("evaluate", ("--metrics=ms_ssim_diversity",)),
        ("evaluate", ("--metrics=density_model_kl",)),
        ("evaluate", ("--metrics=density_ratio_kl",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_programs_say_that_there_is_nothing_to_sample_from(
    run, program, arguments, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert call(program, f"--run_dir={run.path}", *arguments) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "or there is no prior (zoo-fit-prior fits one to a run)" in line
    assert not any(tmp_path.iterdir())


def test_it_is_trained_shown_and_exported_all_the_same(run, tmp_path):
    pictures = {file.name.split("-")[0] for file in (run.path / "images").iterdir()}
    assert pictures == {"reconstructions"}
    assert call("evaluate", f"--run_dir={run.path}", "--metrics=reconstruction") == 0
    assert call("report", f"--run_dir={run.path}") == 0
    assert "reconstructions" in (run.path / "report.html").read_text()
    folder = zoo.export_run(run.path, tmp_path / "served", "rae")
    assert set(tf.saved_model.load(str(folder)).signatures) == {
        *("serving_default", "decode", "encode", "sample_posterior")
    }
    with pytest.raises(UsageError, match="has no signature 'sample'"):
        zoo.sample(folder, 2)


def test_a_prior_that_is_fitted_to_it_gives_it_samples(run, tmp_path, capsys):
    made = tmp_path / "fitted"
    arguments = ("--prior=gmm_full_10", f"--output_dir={made}")
    assert call("fit_prior", f"--run_dir={run.path}", *arguments) == 0
    assert "log r(z) - log N(z; 0, I) of" in capsys.readouterr().out
    images = zoo.sample(made, 3, seed=0)["images"]
    assert images.shape == (3, 28, 28, 3)
    model = zoo.load_run(made).model
    assert set(model.available_signatures) == {
        *("decode", "encode", "sample_posterior", "sample", "sample_prior", "log_prior")
    }
    z = model.encode(run.dataset.split("train").images[:200])["z"].numpy()
    drawn = model.sample_prior(2000)["z"].numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), z.mean(axis=0), atol=0.5 * z.std())
