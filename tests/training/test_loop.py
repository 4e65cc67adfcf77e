"""The training of a run through the library, on the real data set at a tiny width."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.config import EvaluationConfig, RunConfig
from zoo.errors import UsageError
from zoo.evaluation.likelihood.elbo import Elbo
from zoo.evaluation.subject.subject import Subject
from zoo.files import folder_lock
from zoo.models.vae import VAE
from zoo.run import Run
from zoo.training.loop import train

TINY = {"latent_size": 3, "width": 0.06, "batch_size": 8, "log_every": 2, "checkpoint_every": 4}


def tiny(**settings):
    return RunConfig.create(**{**TINY, "strategy": "one_device", "steps": 6, **settings})


def weights(run):
    return [v.numpy() for p in run.model.players for v in getattr(run.model, p).weights]


def test_a_run_folder(tmp_path):
    training = train(tiny(), tmp_path / "run")
    assert (training.first_step, training.last_step) == (0, 6)
    run = zoo.load_run(tmp_path / "run")
    assert [line["step"] for line in run.history()] == [2, 4, 6]
    assert {"elbo", "kl", "encoder_loss", "steps_per_second"} <= run.history()[0].keys()
    assert run.checkpoints.steps() == [4, 6]
    assert int(run.model.step.numpy()) == 6
    names = {f.name for f in (run.path / "images").iterdir()}
    assert {"samples-00000006.png", "reconstructions-00000006.png"} <= names
    assert any((run.path / "tensorboard").iterdir())
    assert run.dataset.fingerprint == run.data_fingerprint
    config = json.loads((run.path / "config.json").read_text())
    assert config["model"]["likelihood"] == "bernoulli" and "tensorflow" in config["versions"]


def test_finished_run_does_nothing(tmp_path):
    train(tiny(), tmp_path)
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "checkpoints").rglob("*")}
    training = train(tiny(), tmp_path)
    assert (training.first_step, training.last_step) == (6, 6)
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "checkpoints").rglob("*")} == before


def test_longer_run_goes_on_to_the_same_weights(tmp_path):
    straight = train(tiny(steps=9), tmp_path / "straight").run
    train(tiny(steps=5), tmp_path / "resumed")
    resumed = train(tiny(steps=9), tmp_path / "resumed")
    assert resumed.first_step == 5
    for one, other in zip(weights(straight), weights(resumed.run), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [line["step"] for line in resumed.run.history()] == [2, 4, 5, 6, 8, 9]


def test_one_device_and_two_can_take_turns(tmp_path):
    straight = train(tiny(), tmp_path / "one").run
    train(tiny(steps=3, strategy="mirrored"), tmp_path / "turns")
    turns = train(tiny(), tmp_path / "turns").run
    for one, other in zip(weights(straight), weights(turns), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_another_configuration_is_refused(tmp_path):
    train(tiny(), tmp_path)
    with pytest.raises(UsageError, match="holds another run: latent_size: 3 -> 4; seed: 0 -> 1"):
        train(tiny(latent_size=4, seed=1), tmp_path)


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="is not empty and is no run folder"):
        train(tiny(), tmp_path)
    assert [f.name for f in tmp_path.iterdir() if not f.name.startswith(".")] == ["thesis.tex"]


def test_a_second_writer_is_refused(tmp_path):
    run = train(tiny(), tmp_path).run
    with folder_lock(run.path), pytest.raises(UsageError, match="in use by another process"):
        train(tiny(), tmp_path)


def test_a_non_finite_term_stops_the_run_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    losses = VAE.losses

    def poisoned(self, images, noise, training=True):
        result, report = losses(self, images, noise, training)
        poison = tf.where(self.step.value >= 6, np.nan, 0.0)
        return {**result, "decoder": result["decoder"] + poison}, {
            **report,
            "kl": report["kl"] + poison,
        }

    monkeypatch.setattr(VAE, "losses", poisoned)
    with pytest.raises(UsageError, match="stopped at step 6: not finite: loss of decoder") as error:
        train(tiny(steps=12), tmp_path)
    assert "term kl" in str(error.value) and "encoder" not in str(error.value)
    assert "the checkpoint of step 4 is sound" in str(error.value)
    run = zoo.load_run(tmp_path)
    assert run.checkpoints.steps() == [4]
    assert all(np.isfinite(w).all() for w in weights(run))


def test_a_batch_that_memory_does_not_suffice_for(tmp_path, monkeypatch):
    losses = VAE.losses

    def huge(self, images, noise, training=True):
        size = tf.where(self.step.value >= 2, 1 << 44, 1)  # 64 TiB
        more = tf.reduce_max(tf.random.stateless_uniform([size], [0, 0]))
        result, report = losses(self, images, noise, training)
        return {**result, "decoder": result["decoder"] + more}, report

    monkeypatch.setattr(VAE, "losses", huge)
    told = "memory does not suffice for batch_size=8: expected a smaller batch_size, .*OOM when"
    with pytest.raises(UsageError, match=told) as error:
        train(tiny(), tmp_path)
    assert "\n" not in str(error.value)


def test_a_diverging_run_stops(tmp_path):
    with pytest.raises(UsageError, match=r"stopped at step \d+: .* there is no checkpoint yet"):
        train(tiny(learning_rate=1e30), tmp_path)
    assert zoo.load_run(tmp_path).checkpoints.steps() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_with_a_checkpoint_and_the_run_goes_on(tmp_path, monkeypatch, number):
    log = Run.log

    def log_then_preempt(self, line):
        log(self, line)
        if line["step"] == 2:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", log_then_preempt)
        training = train(tiny(), tmp_path / "preempted")
    assert training.last_step == 2 and training.run.checkpoints.steps() == [2]
    straight = train(tiny(), tmp_path / "straight").run
    resumed = train(tiny(), tmp_path / "preempted").run
    for one, other in zip(weights(straight), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "mirrored", "batch_size": 7}, "batch_size=7 does not divide over 2 replicas"),
        ({"strategy": "mirrored", "jit_compile": True}, "jit_compile works on one replica only"),
        ({"strategy": "mirrored", "steps_per_execution": 2}, "steps_per_execution=2 works on one"),
        ({"learning_rate": "janitor=1e-3"}, "names the player 'janitor': expected encoder"),
    ],
)
def test_refused_before_any_work(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        train(tiny(**settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "settings",
    [{"steps_per_execution": 2}, pytest.param({"jit_compile": True}, marks=pytest.mark.slow)],
)
def test_single_device_settings_train_the_same(tmp_path, settings):
    plain = train(tiny(), tmp_path / "plain").run
    other = train(tiny(**settings), tmp_path / "other").run
    assert [line["step"] for line in other.history()] == [2, 4, 6]
    for a, b in zip(weights(plain), weights(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_one_trace_per_step_function(tmp_path, monkeypatch):
    calls = []
    losses = VAE.losses
    monkeypatch.setattr(VAE, "losses", lambda *a, **k: calls.append(1) or losses(*a, **k))
    train(tiny(), tmp_path)
    assert len(calls) == 1


def test_a_run_that_does_not_give_back_what_was_trained_is_told(tmp_path, monkeypatch):
    def half(state, values):
        """What a loader does that misses a part of the model."""
        for name in [name for name in state if "decoder" not in name]:
            state[name].assign(values[name])

    monkeypatch.setattr("zoo.checkpoints.load_state", half)
    with pytest.raises(RuntimeError, match="does not give back the weights that were trained"):
        train(tiny(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", VAE.posteriors)
def test_evaluation_on_the_training_images_agrees_with_the_log(tmp_path, posterior):
    """Learning all but stops before the last line, which then speaks of the last weights."""
    settings = {"posterior": posterior, "latent_size": 8, "width": 0.25, "batch_size": 64}
    settings |= {"learning_rate": 2e-3, "log_every": 100, "checkpoint_every": 300}
    run = train(tiny(**settings, steps=300), tmp_path).run
    file = tmp_path / "checkpoints" / "step-00000300" / "state.npz"
    state = dict(np.load(file))
    rates = {n: np.float32(1e-9) for n in state if n.startswith("optimizer") and n.endswith("/1")}
    assert {float(state[name]) for name in rates} == {np.float32(2e-3)}
    np.savez(file, **state | rates)
    run = train(tiny(**settings, steps=500), tmp_path).run
    logged = run.history()[-1]
    for record in list(Elbo().measure(Subject.of_run(run), run.dataset, EvaluationConfig("train")))[
        :3
    ]:
        # Training normalises by each batch, which moves a KL by parts of a percent.
        allowed = max(record.standard_error, 0.01 * record.value)
        assert logged[record.metric] == pytest.approx(record.value, abs=allowed), record.metric
    if posterior == "real_nvp":  # what the comparison has to be able to tell
        for net in run.model.encoder.head.nets:
            net.last.kernel.assign(0 * net.last.kernel)
            net.last.bias.assign(0 * net.last.bias)
        without = next(Elbo().measure(Subject.of_run(run), run.dataset, EvaluationConfig("train")))
        assert abs(without.value - logged["elbo"]) > 3 * without.standard_error
