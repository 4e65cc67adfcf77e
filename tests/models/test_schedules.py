"""Learning rates that change with the step, and gradients that are clipped."""

import math

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.models.training import batch, compiled, train
from zoo.config import RunConfig, TrainingConfig
from zoo.data import load_dataset
from zoo.errors import UsageError
from zoo.models import resolve
from zoo.models.classifier import Classifier
from zoo.models.schedules import CONSTANT, resolve_schedule, scheduled
from zoo.models.vae import VAE
from zoo.training.strategy import make_strategy

RATE = 0.1
KNOWN = {
    ("constant",): lambda t: RATE,
    ("linear",): lambda t: RATE * (1 - t / 20),
    ("linear", 10, 0.2): lambda t: RATE * (1 - 0.8 * min(t / 10, 1)),
    ("cosine",): lambda t: RATE * (1 + math.cos(math.pi * t / 20)) / 2,
    ("cosine", 10, 0.2): lambda t: (
        RATE * (0.2 + 0.8 * (1 + math.cos(math.pi * min(t / 10, 1))) / 2)
    ),
    ("exponential", 5): lambda t: RATE * 0.5 ** (t / 5),
    ("step", 5, 0.1): lambda t: RATE * 0.1 ** (t // 5),
}


def settings(schedule, decay_steps=None, last=None):
    more = {"decay_rate" if schedule in ("exponential", "step") else "end_factor": last}
    return {"schedule": schedule, "decay_steps": decay_steps, **more}


@pytest.mark.parametrize("key", KNOWN, ids=str)
def test_known_rates(key):
    chosen = resolve_schedule(TrainingConfig(steps=20, **settings(*key)), CONSTANT)
    rate = scheduled(RATE, chosen)
    critics = scheduled(RATE, chosen, updates=5)  # whose optimiser counts five a step
    for step in (0, 1, 4, 5, 9, 10, 15, 19, 20):
        known = KNOWN[key](step)
        for schedule, count in ((rate, step), (critics, 5 * step)):
            value = schedule(count) if callable(schedule) else schedule
            assert float(value) == pytest.approx(known, rel=1e-5, abs=1e-9), (step, count)


def test_a_model_has_its_own():
    own = {"schedule": "exponential", "decay_steps": 250, "decay_rate": 0.5, "end_factor": None}
    assert resolve_schedule(TrainingConfig(), Classifier.schedule) == own
    longer = resolve_schedule(TrainingConfig(decay_steps=9), Classifier.schedule)
    assert longer == own | {"decay_steps": 9}
    constant = resolve_schedule(TrainingConfig(schedule="constant"), Classifier.schedule)
    assert constant == resolve_schedule(TrainingConfig(), VAE.schedule)
    config = RunConfig.create(model="vae", schedule="cosine", steps=70)
    resolved = resolve(config, load_dataset(config.data)).training
    assert (resolved.decay_steps, resolved.end_factor, resolved.decay_rate) == (70, 0.0, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"schedule": "cosin"}, "schedule='cosin' is not known: did you mean cosine?"),
        (
            {"decay_steps": 5},
            "decay_steps=5 applies to schedule=linear or cosine or exponential or",
        ),
        ({"schedule": "step", "decay_steps": 5, "end_factor": 0.1}, "end_factor=0.1 applies to"),
        ({"schedule": "step"}, "schedule=step needs decay_steps, in which decay_rate applies once"),
        ({"schedule": "linear", "decay_steps": 5}, "steps=20 go beyond decay_steps=5, where a lin"),
        (
            {"schedule": "step", "decay_steps": 5, "decay_rate": 1.5},
            "decay_rate=1.5 is not accepted",
        ),
        ({"clip_norm": 0.0}, "clip_norm=0.0 is not accepted"),
    ],
)
def test_a_mistake_is_one_line(given, message):
    with pytest.raises(UsageError, match=message) as error:
        resolve_schedule(TrainingConfig(steps=20, **given), CONSTANT)
    assert "\n" not in str(error.value)


def test_the_rate_of_an_optimiser_follows_the_step():
    model = zoo.WGANGP(latent_size=3, width=0.06, critic_updates=2)
    model.compile(
        RATE, schedule=resolve_schedule(TrainingConfig(schedule="linear", steps=4), CONSTANT)
    )
    images = np.random.default_rng(0).random((4, 28, 28, 3), np.float32)
    for step in range(4):
        rates = {p: float(o.learning_rate) for p, o in model.optimizers.items()}
        expected = pytest.approx(RATE * (1 - step / 4))
        assert rates == {"decoder": expected, "image_critic": expected}
        model.train_on_batch(images)


# ---- Clipping ------------------------------------------------------------------------------------


def moments(model):
    """Of Adam's first step: (1 - beta_1) times the gradient."""
    return {
        player: [v.numpy() for v in optimizer.variables[2 : 2 + 2 * n : 2]]
        for player, optimizer in model.optimizers.items()
        for n in [len(model.player_variables(player))]
    }


def gradients_of(clip_norm, strategy=None):
    if strategy is None:
        model = compiled({"model": "vae"})
        model.clip_norm = clip_norm
        train(model, 1)
        return moments(model)
    with strategy.scope():
        model = compiled({"model": "vae"})
        model.clip_norm = clip_norm

    def halves(context):
        return tf.split(batch(model, 0), 2)[context.replica_id_in_sync_group]

    images = strategy.experimental_distribute_values_from_function(halves)
    tf.function(lambda: strategy.run(model.train_step, args=(images,)))()
    return moments(model)


def norm(gradients):
    return math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))


def test_each_player_is_clipped_by_its_own_norm():
    free = gradients_of(None)
    norms = {player: norm(gradients) for player, gradients in free.items()}
    low, high = sorted(norms.values())
    assert low < 0.9 * high
    between = math.sqrt(low * high)
    clipped = gradients_of(between / 0.5)  # beta_1 is 0.5
    for player, gradients in free.items():
        factor = min(1, between / norms[player])
        for one, other in zip(gradients, clipped[player], strict=True):
            np.testing.assert_allclose(other, factor * one, rtol=1e-4, atol=1e-6 * high)


def test_two_replicas_clip_what_one_does():
    one = gradients_of(0.01)
    two = gradients_of(0.01, make_strategy("mirrored"))
    for player, gradients in one.items():
        assert norm(gradients) == pytest.approx(0.5 * 0.01, rel=1e-3)
        largest = max(np.abs(g).max() for g in gradients)
        for a, b in zip(gradients, two[player], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4 * largest)
