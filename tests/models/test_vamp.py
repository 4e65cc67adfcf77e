"""The VAE whose prior is the mixture of the posteriors of learned images."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.models.known import Given, k, s, tensor, with_parts
from tests.models.training import compiled, train
from tests.models.variants import tiny_model
from zoo.distributions.code_distributions import GaussianPosterior
from zoo.errors import UsageError
from zoo.noise import row_noise, step_noise
from zoo.saved_model.signatures import signature_functions

VAMP = {"model": "vae", "prior": "vamp", "components": 5}
IMAGES = tf.constant(np.random.default_rng(0).random((6, 28, 28, 3), np.float32))
Z = k(2, 2)


def test_known_answer(monkeypatch):
    """The KL of section 10's example goes into loss and report with its weight, and weight 1."""
    row, column = np.indices((3, 2))
    of_pseudo_inputs = GaussianPosterior(tensor(s(3, 2)), tensor(np.exp(0.1 * (row - column))))

    class Of(GaussianPosterior):
        def reparameterize(self, noise):
            return tensor(Z)

    log_likelihood = tensor([-3.0, -5.0])

    class Head:
        def training_log_prob(self, outputs, images, noise):
            return log_likelihood

    model = with_parts(
        monkeypatch,
        {"model": "vae", "prior": "vamp", "components": 3, "kl_weight": 0.5},
        posterior=lambda x, training=False: (
            Of(tensor(np.full((2, 2), 0.1)), tensor(np.full((2, 2), 0.5)))
            if x is IMAGES
            else of_pseudo_inputs
        ),
        decoder=lambda z, training: z,
        likelihood_head=Head(),
    )
    losses, report = model.losses(IMAGES, Given(posterior=np.zeros((2, 3))))
    kl = np.array([-0.1188255546, 1.1092040062])
    np.testing.assert_allclose(report["kl"], kl, atol=3e-7)  # of log densities of 3 nats
    np.testing.assert_allclose(report["elbo"], [-3 - kl[0], -5 - kl[1]], 1e-6)
    assert set(losses) == {"encoder", "decoder", "pseudo_inputs"}
    assert float(losses["pseudo_inputs"]) == pytest.approx(4 + 0.5 * kl.mean(), rel=1e-6)


def test_the_pseudo_inputs_leave_no_trace_in_the_moving_averages():
    model = compiled(VAMP)
    averages = model.encoder.non_trainable_variables
    before = [v.numpy() for v in averages]
    model.posterior(IMAGES, training=True)
    expected = [v.numpy() for v in averages]
    for variable, value in zip(averages, before, strict=True):
        variable.assign(value)
    assert not np.allclose(expected[0], before[0])
    model.losses(IMAGES, step_noise(0, 1, 6))
    for variable, value in zip(averages, expected, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_training_has_the_prior_of_inference():
    model = compiled(VAMP)
    noise, averages = step_noise(0, 1, 6), model.encoder.non_trainable_variables
    before = [v.numpy() for v in averages]
    _, report = model.losses(IMAGES, noise)
    for variable, value in zip(averages, before, strict=True):
        variable.assign(value)
    q = model.posterior(IMAGES, training=True)
    z = model.draw_posterior(q, noise)
    # As in the loss, the averages are those after the pass over the images.
    expected = q.log_prob(z) - model.log_prior(z)["log_prior"]
    np.testing.assert_allclose(report["kl"], expected, rtol=1e-4, atol=1e-4)


def test_the_prior_reaches_the_encoder_twice():
    """As q(z|x), and as the components of the prior."""
    model = compiled(VAMP)
    z = tf.constant(np.random.default_rng(1).normal(size=(6, 3)), tf.float32)
    with tf.GradientTape() as tape:
        log_p = tf.reduce_sum(model.prior().log_prob(z))
    kernel, images = model.encoder.head.from_features.kernel.value, model.prior_head.free.value
    for gradient in tape.gradient(log_p, [kernel, images]):
        assert np.abs(gradient).max() > 0


def test_players_follow_the_prior():
    assert zoo.VAE.players == tiny_model({"model": "vae"}).players == ("encoder", "decoder")
    model = tiny_model(VAMP)
    assert model.players == ("encoder", "decoder", "pseudo_inputs")
    model.compile({"pseudo_inputs": 1e-2, "all": 1e-3})
    rates = {p: float(o.learning_rate.numpy()) for p, o in model.optimizers.items()}
    assert rates == pytest.approx({"encoder": 1e-3, "decoder": 1e-3, "pseudo_inputs": 1e-2})
    assert "pseudo_inputs/pseudo_inputs/images" in model.state
    assert {"pseudo_inputs_loss"} <= set(model.trackers)
    with pytest.raises(UsageError, match="names the player 'pseudo_inputs': expected encoder, dec"):
        tiny_model({"model": "vae"}).compile({"pseudo_inputs": 1e-2})


def test_exports_hold_the_components_not_the_encoders_pass():
    model = compiled(VAMP)
    train(model, 2)
    functions, seeds = signature_functions(model), np.arange(6, dtype=np.int32)
    expected = model.sample(seed=row_noise(seeds))
    for name in ("sample", "sample_prior"):
        concrete = functions[name].get_concrete_function()
        np.testing.assert_allclose(concrete(tf.constant(seeds))["z"], expected["z"], rtol=1e-5)
        operations = {op.type for op in concrete.graph.get_operations()}
        assert "Conv2D" not in operations  # the encoder's; the decoder's are Conv2DBackpropInput
    z = expected["z"]
    log_p = functions["log_prior"](z)["log_prior"]
    np.testing.assert_allclose(log_p, model.prior().log_prob(z), rtol=1e-5)
    elbo = model.elbo(IMAGES, row_noise(seeds))
    for name, values in functions["elbo"](IMAGES, tf.constant(seeds)).items():
        np.testing.assert_allclose(values, elbo[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "vae", "prior": "vamp", "posterior": "real_nvp"},
            "vamp does not go with poster",
        ),
        (
            {"model": "aae", "prior": "vamp"},
            "aae does not take prior=vamp: expected one of standard",
        ),
        ({"model": "dcgan", "components": 5}, "dcgan has no option components"),
        (
            {"model": "vae", "components": 5},
            "^components=5 applies to prior=vamp only, not to standard_normal$",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        tiny_model(settings)
