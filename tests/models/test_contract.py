"""What every model of the zoo promises.

Steps run eagerly where nothing else is said: at this size that is faster than tracing them.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.training import BATCH, IMAGES, RATE, batch, compiled, train
from tests.models.variants import KINDS, TRAINED, VARIANTS, fast_then_slow, tiny_model, variant_id
from zoo.checkpoints import CheckpointStore
from zoo.noise import row_noise, step_noise
from zoo.training.strategy import make_strategy

every_variant = pytest.mark.parametrize("variant", TRAINED, ids=variant_id)
# The models here, or one of each kind, the others and all options in the slow suite.
each_model = pytest.mark.parametrize("variant", fast_then_slow(TRAINED), ids=variant_id)
each_kind = pytest.mark.parametrize("variant", fast_then_slow(TRAINED, KINDS), ids=variant_id)
each_generative_model = pytest.mark.parametrize("variant", fast_then_slow(VARIANTS), ids=variant_id)


def first_pass(model):
    images = batch(model, 0)
    return images[:, 0] if model.passes > 1 else images


def weights(model):
    networks = {player: getattr(model, player).weights for player in model.players}
    return {f"{p}-{i}-{v.name}": v.numpy() for p, w in networks.items() for i, v in enumerate(w)}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], err_msg=name, **tolerance)


@every_variant
def test_losses_are_finite_scalars_and_terms_per_example(variant):
    model = compiled(variant)
    losses, report = model.losses(first_pass(model), step_noise(0, 1, BATCH))
    assert set(losses) == set(model.players) and set(report) == set(model.terms)
    for loss in losses.values():
        assert loss.shape == () and loss.dtype == tf.float32 and np.isfinite(loss)
    for term in report.values():
        assert term.shape == (BATCH,) and np.isfinite(term).all()


@each_model
def test_each_player_moves_its_own_variables_and_no_others(variant):
    model = compiled(variant)
    for player in model.players:
        model.compile({p: RATE if p == player else 1e-30 for p in model.players}, seed=1)
        before = {p: [v.numpy() for v in model.player_variables(p)] for p in model.players}
        train(model, 2)
        for p in model.players:
            moved = {
                v.path: not np.allclose(b, v.numpy(), rtol=0, atol=1e-20)
                for b, v in zip(before[p], model.player_variables(p), strict=True)
            }
            # All of its own: each has a gradient. None of the others'.
            assert set(moved.values()) == {p == player}, moved


@each_model
def test_players_own_disjoint_sets_that_cover_all_trainable_variables(variant):
    model = tiny_model(variant)
    owned = [id(v) for p in model.players for v in model.player_variables(p)]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(v) for v in model.trainable_variables}


@each_kind
def test_one_replica_equals_two(variant):
    one = compiled(variant)
    logs = train(one, 1)
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        two = compiled(variant)

    def distributed(images):
        halves = strategy.experimental_distribute_values_from_function(
            lambda c: tf.nest.map_structure(
                lambda rows: tf.split(rows, 2)[c.replica_id_in_sync_group], images
            )
        )
        logs = strategy.run(two.train_step, args=(halves,))
        replicas = {name: strategy.experimental_local_results(v) for name, v in logs.items()}
        return {name: np.mean(values) for name, values in replicas.items()}

    other_logs = train(two, 1, distributed)
    assert_same(logs, other_logs, rtol=1e-4, atol=1e-5)
    # Adam's first moments are the gradients; its updates would blow up the rounding of the least.
    for player in one.players:
        gradients = moments(one, player)
        # A sum that nearly cancels carries the rounding of the player's larger gradients.
        rounding = 1e-7 + 1e-6 * max(np.abs(g).max() for g in gradients)
        pairs = [*zip(gradients, moments(two, player), strict=True)]
        statistics = (getattr(m, player).non_trainable_weights for m in (one, two))
        pairs += [(a.numpy(), b.numpy()) for a, b in zip(*statistics, strict=True)]
        for i, (values, others) in enumerate(pairs):
            tolerance = 1e-4 * np.abs(values).max() + rounding
            np.testing.assert_allclose(others, values, 0, tolerance, err_msg=f"{player} {i}")


def moments(model, player):
    return [v.numpy() for v in model.optimizers[player].variables if v.shape]


@each_kind
def test_stopped_and_resumed_equals_straight(variant, tmp_path):
    straight = compiled(variant)
    train(straight, 4)
    first = compiled(variant)
    train(first, 2)
    store = CheckpointStore(tmp_path)
    store.save(first)
    second = compiled(variant, seed=99)
    assert store.restore(second) == 2
    train(second, 2)
    assert_same(weights(straight), weights(second), rtol=0, atol=0)


@each_model
def test_config_and_weights_round_trip(variant, tmp_path):
    model = compiled(variant)
    train(model, 1)
    file = tmp_path / "model.weights.h5"
    model.save_weights(file)
    clone = type(model).from_config(model.get_config())
    assert clone.get_config() == model.get_config()
    clone.compile()
    clone.load_weights(file)
    assert_same(weights(model), weights(clone), rtol=0, atol=0)


@each_generative_model
def test_rows_do_not_depend_on_their_neighbours(variant):
    model = compiled(variant)
    train(model, 2)
    images = tf.constant(IMAGES[0, :6])
    calls = {
        "decode": lambda i, s: model.decode(row_noise(s).normal("z", (model.latent_size,))),
        "sample": lambda i, s: model.sample(seed=row_noise(s)),
        "encode": lambda i, s: model.encode(i),
        "sample_posterior": lambda i, s: model.sample_posterior(i, row_noise(s)),
        "elbo": lambda i, s: model.elbo(i, row_noise(s)),
        "to_base": lambda i, s: model.to_base(row_noise(s).normal("z", (model.latent_size,))),
        "sample_prior": lambda i, s: model.sample_prior(seed=row_noise(s)),
        "log_prior": lambda i, s: model.log_prior(row_noise(s).normal("z", (model.latent_size,))),
    }
    for name in model.available_signatures:
        together = calls[name](images, tf.constant([1, 2, 3, 4, 5, 1]))
        shuffled = calls[name](tf.reverse(images, [0]), tf.constant([1, 5, 4, 3, 2, 1]))
        for key, values in together.items():
            np.testing.assert_allclose(
                values.numpy(), shuffled[key].numpy()[::-1], rtol=1e-5, atol=1e-5, err_msg=key
            )
    if "sample" in model.available_signatures:
        images = model.sample(seed=row_noise(tf.constant([1, 2, 1])))["images"].numpy()
        assert np.array_equal(images[0], images[2]) and not np.allclose(images[0], images[1])


def test_a_tpu_can_reduce_what_replicas_reduce(monkeypatch):
    """Its op takes fewer types than others; only the graph can be built here."""
    dtypes, reduce = set(), tf.distribute.ReplicaContext.all_reduce

    def spy(context, op, value, *args):
        dtypes.update(part.dtype for part in tf.nest.flatten(value))
        return reduce(context, op, value, *args)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", spy)
    train(compiled({"model": "vae"}), 1)
    assert dtypes
    for dtype in dtypes:
        with tf.Graph().as_default():
            tf.raw_ops.CrossReplicaSum(input=tf.zeros([], dtype), group_assignment=[[0]])


@each_model
def test_bfloat16_is_finite_with_float32_losses(variant):
    model = compiled(variant, dtype_policy="mixed_bfloat16")
    assert all(np.isfinite(value) for value in train(model, 2).values())
    assert keras.config.dtype_policy().name == "float32"
    losses, _ = model.losses(first_pass(model), step_noise(0, 1, BATCH))
    assert all(loss.dtype == tf.float32 for loss in losses.values())


@each_model
def test_non_finite_values_are_recorded(variant):
    model = compiled(variant, rates={"all": 1e30})
    assert not model.faults.numpy().any()
    train(model, 4)
    assert model.faults.numpy().any()
