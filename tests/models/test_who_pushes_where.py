"""The critics' labels and everyone's direction: signs of dloss/dlogit, for every model."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.variants import tiny_model, variant_id
from zoo.noise import step_noise

BATCH = 6
IMAGES = tf.constant(np.random.default_rng(0).random((BATCH, 28, 28, 3), np.float32))

# To descend the loss is to raise the logit, to lower it, or it does not depend on it.
UP, DOWN, NOTHING = -1, 1, 0

CODES = {
    "prior": {"code_critic": UP},
    "posterior": {"code_critic": DOWN, "encoder": UP},
}
# One loss of both players; the decoder has no part in what the critic sees.
CODES_OF_ONE_LOSS = {"code_critic": DOWN, "encoder": UP, "decoder": UP}
CODES_OF_WAE = {"prior": {"code_critic": UP}, "posterior": CODES_OF_ONE_LOSS}
CODES_OF_FACTOR_VAE = {"other": {"code_critic": UP}, "posterior": CODES_OF_ONE_LOSS}  # permuted
RECONSTRUCTIONS = {
    "data": {"image_critic": UP},
    "other": {"image_critic": DOWN, "decoder": UP},
}
SAMPLES = {"data": {"image_critic": UP}, "sample": {"image_critic": DOWN, "decoder": UP}}
JOINT_OF_VB = {
    # log q(z|x)/p(z), which encoder and decoder minimise as the KL of their one loss.
    "data, posterior": {"joint_critic": UP, "encoder": DOWN, "decoder": DOWN},
    "data, prior": {"joint_critic": DOWN},
}
JOINT_OF_VEEGAN = {
    "sample, prior": {"joint_critic": UP, "decoder": DOWN},
    "data, posterior": {"joint_critic": DOWN},
}
JOINT_OF_ALI = {
    **JOINT_OF_VEEGAN,
    "data, posterior": {"joint_critic": DOWN, "encoder": UP},
}
# One loss of both players: the pairs of data are the encoder's, the generated ones the decoder's.
JOINT_OF_BIDIRECTIONAL = {
    "sample, prior": {"joint_critic": UP, "encoder": DOWN, "decoder": DOWN},
    "data, posterior": {"joint_critic": DOWN, "encoder": UP, "decoder": UP},
}

# Codes of the prior are real to the code critic, those of the encoder fake: with the two swapped,
# encoder and critic would pull the same way (paper.md section 6.9). The encoder of VGH and VGH++
# gets nothing from the image critic (section 13, item 13): it is in no row of theirs.
CASES = [
    ({"model": "aae"}, "code_critic", CODES),
    ({"model": "aae", "posterior": "deterministic"}, "code_critic", CODES),
    ({"model": "vgh"}, "code_critic", CODES),
    ({"model": "vgh"}, "image_critic", RECONSTRUCTIONS),
    ({"model": "vgh_plus_plus"}, "code_critic", CODES),
    ({"model": "vgh_plus_plus"}, "image_critic", RECONSTRUCTIONS | SAMPLES),
    ({"model": "vgh_plus_plus", "adversarial_loss": "reverse_kl"}, "code_critic", CODES),
    (
        {"model": "vgh_plus_plus", "adversarial_loss": "reverse_kl"},
        "image_critic",
        RECONSTRUCTIONS | SAMPLES,
    ),
    ({"model": "dcgan"}, "image_critic", SAMPLES),
    ({"model": "wgan_gp", "gradient_penalty": 0.0}, "image_critic", SAMPLES),
    ({"model": "sngan"}, "image_critic", SAMPLES),
    ({"model": "sngan", "gan_loss": "non_saturating"}, "image_critic", SAMPLES),
    ({"model": "vae_gan"}, "image_critic", SAMPLES | {"other": {}}),
    ({"model": "vae_gan", "minimax": True}, "image_critic", SAMPLES | {"other": {}}),
    (
        {"model": "vae_gan", "judge_reconstructions": True},
        "image_critic",
        RECONSTRUCTIONS | SAMPLES,
    ),
    ({"model": "adversarial_vb"}, "joint_critic", JOINT_OF_VB),
    ({"model": "veegan"}, "joint_critic", JOINT_OF_VEEGAN),
    ({"model": "veegan", "posterior": "deterministic"}, "joint_critic", JOINT_OF_VEEGAN),
    ({"model": "veegan", "reconstructor_adversarial": True}, "joint_critic", JOINT_OF_ALI),
    ({"model": "bigan"}, "joint_critic", JOINT_OF_BIDIRECTIONAL),
    ({"model": "ali"}, "joint_critic", JOINT_OF_BIDIRECTIONAL),
    ({"model": "alice"}, "joint_critic", JOINT_OF_BIDIRECTIONAL),
    ({"model": "symmetric_vae"}, "joint_critic", JOINT_OF_BIDIRECTIONAL),
    ({"model": "wae_gan"}, "code_critic", CODES_OF_WAE),
    ({"model": "wae_gan", "posterior": "gaussian"}, "code_critic", CODES_OF_WAE),
    ({"model": "factor_vae"}, "code_critic", CODES_OF_FACTOR_VAE),
]


def kinds(model, noise, inputs):
    """What the inputs of a critic are: where images and codes came from."""
    z = noise.normal("prior", (model.latent_size,))
    known = {"data": IMAGES, "prior": z, "sample": model.generate(z, training=True)}
    if "encoder" in model.players:
        q = model.posterior(IMAGES, training=True)
        known["posterior"] = model.draw_posterior(q, noise)

    def kind(tensor):
        same = [n for n, t in known.items() if t.shape == tensor.shape and np.allclose(t, tensor)]
        return same[0] if same else "other"

    return ", ".join(kind(tensor) for tensor in inputs)


def direction(gradient):
    """The one sign of all rows."""
    (sign,) = {0.0} if gradient is None else set(np.sign(gradient.numpy()))
    return int(sign)


@pytest.mark.parametrize(
    ("variant", "critic", "expected"), CASES, ids=[f"{variant_id(v)}-{c}" for v, c, _ in CASES]
)
def test_directions(variant, critic, expected):
    model, noise = tiny_model(variant), step_noise(0, 1, BATCH)
    network, calls = getattr(model, critic), []

    def recorded(*inputs, **kwargs):
        output = network(*inputs, **kwargs)
        calls.append((inputs, tf.nest.flatten(output)[0]))  # the logit, which features may follow
        return output

    object.__setattr__(model, critic, recorded)
    with tf.GradientTape(persistent=True) as tape:
        losses, _ = model.losses(IMAGES, noise)
    seen = {}
    for inputs, logit in calls:
        ways = {p: direction(tape.gradient(loss, logit)) for p, loss in losses.items()}
        seen[kinds(model, noise, inputs)] = {p: way for p, way in ways.items() if way != NOTHING}
    if variant["model"] == "wgan_gp":
        assert seen.pop("other") == {}  # where the penalty is taken
    assert seen == expected


@pytest.mark.parametrize(
    ("variant", "optimum"),
    [
        ({"model": "vgh"}, 1 / 2),
        ({"model": "vgh_plus_plus"}, 1 / 2),
        ({"model": "vgh_plus_plus", "real_weight": 1.0}, 1 / 3),
    ],
    ids=lambda v: variant_id(v) if isinstance(v, dict) else f"{v:.2f}",
)
def test_optimum_of_the_image_critic(variant, optimum):
    """Section 13, item 14: its best answer where it cannot tell anything from anything."""
    model, noise = tiny_model(variant), step_noise(0, 1, BATCH)
    logit = tf.Variable(np.log(optimum / (1 - optimum)), dtype=tf.float32)
    object.__setattr__(model, "image_critic", lambda x, training: tf.fill([len(x)], logit))

    def slope():
        with tf.GradientTape() as tape:
            loss = model.losses(IMAGES, noise)[0]["image_critic"]
        return float(tape.gradient(loss, logit))

    assert slope() == pytest.approx(0.0, abs=1e-6)
    for shift, sign in ((-0.1, -1), (0.2, 1)):
        logit.assign_add(shift)
        assert np.sign(slope()) == sign
