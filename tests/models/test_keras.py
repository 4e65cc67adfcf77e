"""What Keras promises of a model, through its public API as users call it."""

import csv
import io

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.models.plain_keras import IMAGES, TINY, assert_same, every_kind, model_of, values
from tests.models.training import compiled
from zoo.errors import UsageError
from zoo.noise import row_noise, row_seeds
from zoo.training.strategy import make_strategy

with_encoder = pytest.mark.parametrize("name", ("vae", "vgh_plus_plus"))


# ---- What it gives -------------------------------------------------------------------------------


@with_encoder
def test_a_call_and_predict_give_reconstructions(name):
    model = compiled({"model": name})
    expected = model.decode(model.encode(IMAGES)["z"])["images"].numpy()
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(IMAGES, batch_size=3, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(IMAGES), expected, atol=1e-6)
    levels = np.rint(IMAGES * 255).astype(np.uint8)
    floats = levels / np.float32(255)
    np.testing.assert_allclose(model(levels), model(floats), atol=1e-6)


def test_predict_of_a_gan_gives_a_sample_for_each_image():
    model = compiled({"model": "wgan_gp"})
    expected = model.sample(8, seed=0)["images"].numpy()
    batches = tf.data.Dataset.from_tensor_slices(IMAGES).batch(3)
    assert len(np.unique(expected.reshape(8, -1), axis=0)) == 8
    for drawn in (
        model(IMAGES),
        model.predict(IMAGES, batch_size=3, verbose=0),
        model.predict(np.zeros_like(IMAGES), batch_size=3, verbose=0),
        model.predict(batches, verbose=0),
        model.predict_on_batch(IMAGES),
    ):
        np.testing.assert_allclose(drawn, expected, atol=1e-6)


def test_a_seed_is_that_of_the_evaluation():
    model = compiled({"model": "vae"})
    noise = row_noise(row_seeds(3, 0, 8))
    calls = {
        "sample": (model.sample(8, seed=3), model.sample(seed=noise)),
        "elbo": (model.elbo(IMAGES, seed=3), model.elbo(IMAGES, noise)),
        "draw": (model.sample_posterior(IMAGES, seed=3), model.sample_posterior(IMAGES, noise)),
    }
    for one, other in calls.values():
        assert_same(
            {k: v.numpy() for k, v in one.items()}, {k: v.numpy() for k, v in other.items()}
        )
    assert set(calls["sample"][0]) == {"images", "z"}
    assert set(calls["elbo"][0]) == {"elbo", "log_likelihood", "kl"}
    assert not np.array_equal(model.elbo(IMAGES, seed=4)["elbo"], calls["elbo"][0]["elbo"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode(IMAGES), "wgan_gp has no signature 'encode': it has no encoder"),
        (lambda m: m.elbo(IMAGES), "no signature 'elbo'"),
        (lambda m: m.sample_posterior(IMAGES), "it has no posterior"),
        (lambda m: m.sample(2, seed=1.5), "seed=1.5 is not accepted: expected 0 to 2147483647"),
        (lambda m: m.compile(seed=-1), "seed=-1 is not accepted"),
        (lambda m: m.save("model.h5"), "'model.h5' is not accepted: expected a name that ends in"),
        (lambda m: m.sample(0), "count=0 is not accepted"),
        (lambda m: m.sample(), "count=None is not accepted"),
        (lambda m: m(IMAGES * 255), r"expected finite floats in \[0, 1\]"),
        (lambda m: m.predict(IMAGES[:, :20], verbose=0), "images have the shape"),
        (lambda m: m.train_on_batch(IMAGES * 255), r"expected finite floats in \[0, 1\]"),
        (lambda m: m.fit(iter(IMAGES)), "images are a .*: expected an array or a tf.data.Dataset"),
        (lambda m: m.fit(IMAGES, sample_weight=np.ones(8)), "sample_weight weighs examples"),
        (lambda m: m.export("x", format="onnx"), "format='onnx'"),
    ],
)
def test_what_a_model_cannot_do_is_told_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as error:
        call(model_of("wgan_gp"))
    assert "\n" not in str(error.value)


# ---- Training ------------------------------------------------------------------------------------


@every_kind
def test_fit_and_evaluate_take_arrays_and_data_sets(name):
    model = model_of(name)
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(8))).batch(3)
    history = model.fit(IMAGES, IMAGES, 4, validation_data=(IMAGES, IMAGES), verbose=0).history
    expected = {f"{p}_loss" for p in model.players} | set(model.terms)
    assert set(history) == expected | {f"val_{key}" for key in expected}
    history = model.fit(batches, validation_data=batches, verbose=0).history
    assert set(history) == expected | {f"val_{key}" for key in expected}
    measured = model.evaluate(batches, verbose=0, return_dict=True)
    again = model.evaluate(IMAGES, IMAGES, batch_size=3, verbose=0)
    assert dict(zip(model.metrics_names, again, strict=True)) == pytest.approx(measured, rel=1e-5)
    before = values(model)
    logs = model.train_on_batch(IMAGES, return_dict=True)
    assert set(logs) == expected and np.isfinite(list(logs.values())).all()
    assert int(model.step.numpy()) == before["step"] + 1
    assert set(model.test_on_batch(IMAGES, return_dict=True)) == expected


def recorded(model, monkeypatch):
    """The batches of the model's losses, as it is trained."""
    losses, seen = model.losses, []

    def record(images, noise, training=True):
        seen.append(images.numpy())
        return losses(images, noise, training)

    monkeypatch.setattr(model, "losses", record)
    return seen


def numbered(count):
    """Images of which each is of one grey, its number."""
    return np.broadcast_to(np.arange(count) / 255, (28, 28, 3, count)).transpose(3, 0, 1, 2).copy()


def numbers(batches):
    return [np.rint(batch[:, 0, 0, 0] * 255).astype(int).tolist() for batch in batches]


@pytest.mark.parametrize("kind", ["array", "data set"])
def test_each_update_of_a_critic_gets_a_fresh_batch(kind, monkeypatch):
    model = model_of("wgan_gp", critic_updates=3)
    seen = recorded(model, monkeypatch)
    images = numbered(14)
    data = {"array": images, "data set": tf.data.Dataset.from_tensor_slices(images).batch(4)}[kind]
    batch_size = 4 if kind == "array" else None
    model.fit(data, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    # The second step of an epoch has two images, for three updates.
    epoch = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12], [13], [12]]
    assert numbers(seen) == 2 * epoch
    assert int(model.step.numpy()) == 4
    assert int(model.optimizers["decoder"].iterations.numpy()) == 4
    assert int(model.optimizers["image_critic"].iterations.numpy()) == 12


def test_one_batch_is_shared_out_among_the_updates(monkeypatch):
    model = model_of("wgan_gp", critic_updates=2)
    seen = recorded(model, monkeypatch)
    model.train_on_batch(numbered(6))
    assert numbers(seen) == [[0, 1, 2], [3, 4, 5]]


def test_a_compiled_step_takes_plain_batches_of_any_size():
    model = zoo.WGANGP(**TINY, critic_updates=2)
    model.compile(learning_rate=1e-3)
    batches = tf.data.Dataset.from_tensor_slices(IMAGES).batch(3)
    history = model.fit(batches, validation_data=batches, epochs=2, verbose=0).history
    assert len(history["val_critic_gap"]) == 2 and np.isfinite(history["critic_gap"]).all()
    assert model.predict(batches, verbose=0).shape == IMAGES.shape


def test_an_evaluation_has_other_noise_for_each_image():
    """That of its place, whatever the batches: a model that samples shows its critic as many."""
    model = model_of("wgan_gp", seed=3)
    images = np.concatenate([IMAGES, IMAGES])
    _, report = model.losses(tf.constant(images), row_noise(row_seeds(0, 0, 16)), training=False)
    assert len(np.unique(report["critic_fake"])) == 16
    for size in (3, 8, 16):
        found = model.evaluate(images, batch_size=size, verbose=0, return_dict=True)
        assert found["critic_fake"] == pytest.approx(np.mean(report["critic_fake"]), rel=1e-4)


def test_losses_are_means_over_images_whatever_the_batches():
    model = model_of("vae")
    images = np.concatenate([IMAGES, np.zeros_like(IMAGES[:1])])
    for size in (4, 8, 9):
        found = model.evaluate(images, batch_size=size, verbose=0, return_dict=True)
        assert found["encoder_loss"] == pytest.approx(-found["elbo"], rel=1e-5)


@pytest.mark.parametrize("count", [15, 9])
@pytest.mark.parametrize("kind", ["array", "data set"])
def test_replicas_that_cannot_share_a_batch_alike_are_told(kind, count):
    strategy = make_strategy("mirrored")
    with strategy.scope():
        model = zoo.VAE(**TINY)
        model.compile(seed=0)
    images = np.concatenate([IMAGES, IMAGES])[:count]
    data = images if kind == "array" else tf.data.Dataset.from_tensor_slices(images).batch(8)
    told = "2 replicas cannot share|as many images for each replica"
    with pytest.raises(UsageError, match=told) as error:
        model.fit(data, batch_size=None if kind == "data set" else 8, verbose=0)
    assert "\n" not in str(error.value)


# ---- Optimisers ----------------------------------------------------------------------------------


def test_every_optimiser_and_schedule_of_keras_is_taken():
    model = zoo.VGHPlusPlus(**TINY)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1e-2, 1e-3])
    sgd = keras.optimizers.SGD(1e-2, momentum=0.9, clipnorm=1.0)
    model.compile(
        learning_rate={"image_critic": schedule},
        optimizers={"encoder": sgd, "decoder": "rmsprop", "code_critic": 1e-4},
        run_eagerly=True,
    )
    assert model.optimizers["encoder"] is sgd
    assert isinstance(model.optimizers["decoder"], keras.optimizers.RMSprop)
    assert isinstance(model.optimizers["image_critic"], keras.optimizers.Adam)
    assert float(model.optimizers["code_critic"].learning_rate) == pytest.approx(1e-4)
    model.fit(IMAGES, batch_size=4, verbose=0)
    assert float(model.optimizers["image_critic"].learning_rate) == pytest.approx(1e-3)
    model.compile(learning_rate=schedule)
    assert float(model.optimizers["decoder"].learning_rate) == pytest.approx(1e-2)


ADAM = keras.optimizers.Adam
SCALED = keras.optimizers.LossScaleOptimizer(ADAM())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": "adam"}, "one optimiser, 'adam', is not accepted.*learning_rate=1e-3"),
        ({"optimizer": "adam"}, "one optimiser, 'adam', is not accepted"),
        ({"optimizer": ADAM(1e-3)}, "one optimiser, Adam, is not accepted"),
        ({"learning_rate": ADAM(1e-3)}, "one optimiser, Adam, is not accepted"),
        ({"optimizers": ADAM(1e-3)}, "one optimiser, Adam, is not accepted"),
        ({"learning_rate": {"encoder": ADAM()}}, "is not accepted: each player has its own"),
        ({"learning_rate": -1}, "expected a positive number"),
        ({"learning_rate": {"critic": 1e-3}}, "names the player 'critic'.*encoder, decoder"),
        ({"optimizers": {"critic": ADAM()}}, "names the player 'critic'.*encoder, decoder"),
        ({"optimizers": {"encoder": "adamm"}}, "'adamm'.*the name of one of Keras's optimisers"),
        ({"optimizers": dict.fromkeys(("encoder", "decoder"), ADAM())}, "encoder and decoder one"),
        ({"optimizers": {"encoder": SCALED}}, "the LossScaleOptimizer for encoder scales its loss"),
        ({"optimizers": {"encoder": ADAM(loss_scale_factor=8.0)}}, "the Adam .* scales its loss"),
        ({"optimizers": {"encoder": ADAM(use_ema=True)}}, r"averages weights.*compile\(ema_decay="),
        ({"loss": "mse"}, r"compile\(loss=...\) is not accepted"),
        ({"metrics": ["mse"]}, r"compile\(metrics=...\) is not accepted"),
    ],
)
def test_what_compile_does_not_take_is_told_in_one_line(arguments, message):
    model = zoo.create_model("vae", **TINY)
    with pytest.raises(UsageError, match=message) as error:
        model.compile(**arguments)
    assert "\n" not in str(error.value)


def test_an_optimiser_of_another_model_is_refused():
    one, other = model_of("vae"), zoo.VAE(**TINY)
    with pytest.raises(UsageError, match="the Adam for decoder has other variables already"):
        other.compile(optimizers={"decoder": one.optimizers["decoder"]})


# ---- Callbacks -----------------------------------------------------------------------------------


def test_keras_callbacks_work(tmp_path):
    model, epochs, steps = model_of("vae"), [], []
    model.fit(
        IMAGES,
        batch_size=4,
        epochs=5,
        verbose=0,
        validation_data=IMAGES,
        callbacks=[
            keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
            keras.callbacks.ModelCheckpoint(
                str(tmp_path / "best.keras"), monitor="val_elbo", mode="max", save_best_only=True
            ),
            keras.callbacks.EarlyStopping("val_elbo", min_delta=1e9, mode="max", patience=2),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: epochs.append(logs["val_elbo"]),
                on_train_batch_end=lambda batch, logs: steps.append(logs["elbo"]),
            ),
        ],
    )
    assert len(epochs) == 3 and len(steps) == 6  # stopped for want of improvement
    with (tmp_path / "log.csv").open() as file:
        assert [float(row["val_elbo"]) for row in csv.DictReader(file)] == pytest.approx(epochs)
    best = keras.models.load_model(tmp_path / "best.keras")
    assert int(best.step.numpy()) == 2 * (1 + int(np.argmax(epochs)))


# ---- Making one ----------------------------------------------------------------------------------


def test_every_model_has_its_class():
    for name, path in zoo.MODELS.items():
        cls = getattr(zoo, path.rsplit(".", 1)[1])
        assert path.endswith(cls.__name__) and cls.registered_name() == name
        assert cls.__name__ in dir(zoo)
    one = zoo.VAE(image_shape=(32, 32, 1), kl_weight=2.0, seed=4, **TINY)
    other = zoo.create_model("vae", image_shape=(32, 32, 1), kl_weight=2.0, seed=4, **TINY)
    assert one.config == other.config and one.kl_weight == 2.0
    assert_same(values(one), values(other))
    with pytest.raises(UsageError, match="unknown setting latents=5"):
        zoo.VAE(latents=5)


@every_kind
def test_the_summary_has_a_row_with_a_shape_for_each_network(name):
    model = zoo.create_model(name, **TINY)
    text = io.StringIO()
    model.summary(print_fn=lambda line: text.write(line + "\n"))
    rows = [line for line in text.getvalue().splitlines() if "(" in line]
    for player in model.players:
        (row,) = (line for line in rows if f" {player} (" in line)
        assert "(None" in row and "?" not in row
    assert "(None, 28, 28, 3)" in text.getvalue()


def test_compiled_again_with_the_same_settings_it_keeps_its_state():
    model = model_of("vae")
    model.train_on_batch(IMAGES)
    before = values(model)
    model.compile(learning_rate=1e-3)
    assert_same(values(model), before)
    model.compile(learning_rate=1e-4)
    assert int(model.optimizers["encoder"].iterations.numpy()) == 0


@every_kind
def test_a_clone_is_a_new_model_of_the_same_settings(name):
    model = model_of(name, seed=3, dtype_policy="mixed_bfloat16")
    initial = values(model)
    model.train_on_batch(IMAGES)
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model) and clone.get_config() == model.get_config()
    assert clone.config == model.config
    weights = {n: v for n, v in values(clone).items() if n != "step" and "optimizer" not in n}
    assert_same(weights, {n: initial[n] for n in weights})
