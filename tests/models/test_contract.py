"""What every model of the zoo promises."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.variants import VARIANTS, tiny_model, variant_id
from zoo.data.pipeline import training_dataset
from zoo.noise import row_noise, step_noise
from zoo.training.checkpoints import CheckpointStore
from zoo.training.strategy import make_strategy

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 3), dtype=np.uint8)
BATCH = 8
RATE = 1e-3

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=variant_id)


def compiled(variant, strategy=None, rates=None, **kwargs):
    strategy = strategy or make_strategy("one_device")
    with strategy.scope():
        model = tiny_model(variant, **kwargs)
        model.compile(rates or {"all": RATE}, seed=1)
    return model


def fit(model, steps, first_step=0, strategy=None):
    strategy = strategy or make_strategy("one_device")
    batches = training_dataset(
        IMAGES,
        strategy=strategy,
        batch_size=BATCH,
        seed=1,
        first_step=first_step,
        steps=steps,
        passes=model.passes,
    )
    with strategy.scope():
        history = model.fit(batches, steps_per_epoch=steps - first_step, verbose=0, shuffle=False)
    return {name: values[-1] for name, values in history.history.items()}


def weights(model):
    networks = {player: getattr(model, player).weights for player in model.players}
    return {f"{p}-{i}-{v.name}": v.numpy() for p, w in networks.items() for i, v in enumerate(w)}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], err_msg=name, **tolerance)


@every_variant
def test_losses_are_finite_scalars_and_terms_per_example(variant):
    model = tiny_model(variant)
    images = tf.constant(IMAGES[:BATCH] / np.float32(255))
    losses, report = model.losses(images, step_noise(0, 1, BATCH))
    assert set(losses) == set(model.players) and set(report) == set(model.terms)
    for loss in losses.values():
        assert loss.shape == () and loss.dtype == tf.float32 and np.isfinite(loss)
    for term in report.values():
        assert term.shape == (BATCH,) and np.isfinite(term).all()


@every_variant
def test_each_player_moves_its_own_variables_and_no_others(variant):
    players = tiny_model(variant).players
    for player in players:
        model = compiled(variant, rates={p: RATE if p == player else 1e-30 for p in players})
        before = {p: [v.numpy() for v in model.player_variables(p)] for p in players}
        fit(model, 3)
        for p in players:
            moved = [
                not np.allclose(b, v.numpy(), rtol=0, atol=1e-20)
                for b, v in zip(before[p], model.player_variables(p), strict=True)
            ]
            # All of its own: each has a gradient. None of the others'.
            assert all(moved) if p == player else not any(moved)


@every_variant
def test_players_own_disjoint_sets_that_cover_all_trainable_variables(variant):
    model = tiny_model(variant)
    owned = [id(v) for p in model.players for v in model.player_variables(p)]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(v) for v in model.trainable_variables}


@every_variant
def test_one_replica_equals_two(variant):
    results = []
    for name in ("one_device", "mirrored"):
        strategy = make_strategy(name)
        model = compiled(variant, strategy)
        logs = fit(model, 4, strategy=strategy)
        results.append((weights(model), logs))
    assert strategy.num_replicas_in_sync == 2
    assert_same(results[0][0], results[1][0], rtol=1e-4, atol=2e-6)
    assert_same(results[0][1], results[1][1], rtol=1e-4)


@every_variant
def test_stopped_and_resumed_equals_straight(variant, tmp_path):
    straight = compiled(variant)
    fit(straight, 5)
    first = compiled(variant)
    fit(first, 3)
    store = CheckpointStore(tmp_path)
    store.save(first)
    second = compiled(variant, seed=99)
    assert store.restore(second) == 3
    fit(second, 5, first_step=3)
    assert_same(weights(straight), weights(second), rtol=0, atol=0)


@every_variant
def test_config_round_trip(variant, tmp_path):
    model = tiny_model(variant)
    config = model.get_config()
    clone = type(model).from_config(config)
    assert clone.get_config() == config
    assert {k: v.shape for k, v in weights(clone).items()} == {
        k: v.shape for k, v in weights(model).items()
    }


@every_variant
def test_weights_round_trip(variant, tmp_path):
    model = compiled(variant)
    fit(model, 2)
    file = tmp_path / "model.weights.h5"
    model.save_weights(file)
    other = compiled(variant, seed=5)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(weights(model).values(), weights(other).values(), strict=True)
    )
    other.load_weights(file)
    assert_same(weights(model), weights(other), rtol=0, atol=0)


@every_variant
def test_rows_do_not_depend_on_their_neighbours(variant):
    model = compiled(variant)
    fit(model, 2)
    images = tf.constant(IMAGES[:6] / np.float32(255))
    calls = {
        "decode": lambda i, s: model.decode(row_noise(s).normal("z", (model.latent_size,))),
        "sample": lambda i, s: model.sample(row_noise(s)),
        "encode": lambda i, s: model.encode(i),
        "sample_posterior": lambda i, s: model.sample_posterior(i, row_noise(s)),
        "elbo": lambda i, s: model.elbo(i, row_noise(s)),
    }
    for name in model.available_signatures:
        together = calls[name](images, tf.constant([1, 2, 3, 4, 5, 1]))
        shuffled = calls[name](tf.reverse(images, [0]), tf.constant([1, 5, 4, 3, 2, 1]))
        for key, values in together.items():
            np.testing.assert_allclose(
                values.numpy(), shuffled[key].numpy()[::-1], rtol=1e-5, atol=1e-5, err_msg=key
            )
    z = model.sample(row_noise(tf.constant([1, 2, 1])))["z"].numpy()
    assert np.array_equal(z[0], z[2]) and not np.allclose(z[0], z[1])


@every_variant
def test_train_step_compiles_with_xla_to_the_same_result(variant):
    plain, compiled_model = compiled(variant), compiled(variant)
    compiled_model.jit_compile = True
    one, other = fit(plain, 1), fit(compiled_model, 1)
    assert_same(one, other, rtol=1e-3, atol=1e-4)


@every_variant
def test_bfloat16_is_finite_with_float32_losses(variant):
    model = compiled(variant, dtype_policy="mixed_bfloat16")
    logs = fit(model, 2)
    assert all(np.isfinite(value) for value in logs.values())
    assert keras.config.dtype_policy().name == "float32"
    losses, _ = model.losses(tf.constant(IMAGES[:BATCH] / np.float32(255)), step_noise(0, 1, BATCH))
    assert all(loss.dtype == tf.float32 for loss in losses.values())


@every_variant
def test_non_finite_values_are_recorded_with_their_step(variant):
    model = compiled(variant, rates={"all": 1e30})
    fit(model, 4)
    assert not model.faults.numpy()[: len(model.players)].all() or model.faults.numpy().min() > 1
    assert model.faults.numpy().any()
