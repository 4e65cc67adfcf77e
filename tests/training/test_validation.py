"""Validation terms, the best checkpoint and averaged weights of a run."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.flags.in_process import call
from tests.training.processes import train_with_workers
from zoo.checkpoints import Best, CheckpointStore
from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.models.vae import VAE
from zoo.noise import row_noise, row_seeds
from zoo.report import write_report
from zoo.run import Run
from zoo.training.loop import train

TINY = {"latent_size": 3, "width": 0.06, "batch_size": 8, "log_every": 2, "checkpoint_every": 4}
TINY |= {"strategy": "one_device", "steps": 6}
WATCHED = {"validate_every": 2, "validation_images": 20, "keep_best": "elbo"}


def tiny(**settings):
    return RunConfig.create(**{**TINY, **settings})


def state(folder, step):
    return dict(np.load(folder / "checkpoints" / f"step-{step:08d}" / "state.npz"))


def assert_same(one, other):
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return train(tiny(), tmp_path_factory.mktemp("plain") / "run").run


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    return train(tiny(**WATCHED), tmp_path_factory.mktemp("watched") / "run").run


def values(run, name="validation_elbo"):
    return {line["step"]: line[name] for line in run.history() if name in line}


def test_training_is_the_same_to_the_bit(plain, watched):
    assert_same(state(plain.path, 6), state(watched.path, 6))
    assert list(values(watched)) == [2, 4, 6]
    names = {f"validation_{name}" for name in ("elbo", "kl", "log_likelihood", "encoder_loss")}
    assert names <= watched.history()[0].keys()
    assert not names & plain.history()[0].keys()


def test_the_values_are_the_terms_of_these_images(watched):
    images = watched.dataset.split("validation").images[:20].astype(np.float32) / 255
    _, report = watched.model.losses(images, row_noise(row_seeds(0, 0, 20)), training=False)
    assert values(watched)[6] == pytest.approx(np.mean(report["elbo"]), rel=1e-5)
    kl = np.mean(report["kl"])
    assert values(watched, "validation_kl")[6] == pytest.approx(kl, rel=1e-5, abs=1e-6)


def test_the_report_draws_them_beside_the_training(plain, watched):
    titles = []
    for run in (plain, watched):
        page = write_report(run, drawing=False).read_text()
        titles.append(page.count(">elbo</text>"))
        assert ("</span>validation</li>" in page) == (run is watched)
        assert ">validation_elbo</text>" not in page
    assert titles == [1, 1]


def test_all_models_are_validated(tmp_path):
    """Each kind of step, and a batch that is one row short of two."""
    for model in ("wgan_gp", "classifier", "veegan"):
        settings = {"model": model, "steps": 1, "validate_every": 1, "validation_images": 9}
        if model == "classifier":
            settings["latent_size"] = None
        run = train(tiny(**settings, keep_best=f"{BEST_OF[model]}"), tmp_path / model).run
        (line,) = run.history()
        expected = {f"validation_{name}" for name in run.model.trackers}
        assert expected <= line.keys(), model
        assert run.checkpoints.best().value == line[f"validation_{BEST_OF[model]}"]


BEST_OF = {"wgan_gp": "critic_gap", "classifier": "accuracy", "veegan": "bound_ratio_estimate"}


@pytest.mark.slow
def test_two_devices_validate_as_one(tmp_path, watched):
    settings = {**WATCHED, "strategy": "mirrored"}
    run = train(tiny(**settings, ema_decay=0.9), tmp_path / "two").run
    unwatched = train(tiny(strategy="mirrored"), tmp_path / "unwatched").run
    other = state(run.path, 6)
    assert_same(
        state(unwatched.path, 6), {n: v for n, v in other.items() if not n.startswith("average/")}
    )
    averaged = train(tiny(**WATCHED, ema_decay=0.9), tmp_path / "one").run
    for step, value in values(averaged).items():
        assert values(run)[step] == pytest.approx(value, rel=1e-3)


@pytest.mark.slow
def test_two_workers_train_and_validate_as_one_device(tmp_path):
    settings = {**TINY, **WATCHED, "steps": 2, "ema_decay": 0.9, "clip_norm": 0.1}
    del settings["strategy"]
    train(RunConfig.create(**settings, strategy="one_device"), tmp_path / "one")
    train_with_workers(tmp_path / "states", [(tmp_path / "two", settings)])
    one, two = (zoo.load_run(tmp_path / name) for name in ("one", "two"))
    assert two.checkpoints.best().value == values(two)[2]
    for name in ("validation_elbo", "validation_encoder_loss"):
        assert values(two, name)[2] == pytest.approx(values(one, name)[2], rel=1e-3)
    chief, other = (np.load(tmp_path / "states" / str(i) / "two.npz") for i in range(2))
    assert any(name.startswith("average/") for name in chief.files)
    assert_same(dict(chief), dict(other))


def test_settings_of_one_device_together(tmp_path):
    together = {"dtype_policy": "mixed_bfloat16", "jit_compile": True, "steps_per_execution": 2}
    more = {"ema_decay": 0.9, "clip_norm": 0.1, "schedule": "cosine"}
    run = train(tiny(**together, **WATCHED, **more), tmp_path).run
    assert list(values(run)) == [2, 4, 6]
    assert {v.dtype for v in state(tmp_path, 6).values()} == {np.dtype("f4"), np.dtype("i8")}


def test_what_is_not_finite_is_left_out(tmp_path, monkeypatch, caplog):
    losses = VAE.losses

    def poisoned(self, images, noise, training=True):
        result, report = losses(self, images, noise, training)
        return result, report if training else {**report, "elbo": report["elbo"] * np.nan}

    monkeypatch.setattr(VAE, "losses", poisoned)
    run = train(tiny(**WATCHED), tmp_path).run
    assert not values(run) and list(values(run, "validation_kl")) == [2, 4, 6]
    assert run.checkpoints.best() is None
    assert "step 2: left out, not finite: validation_elbo" in caplog.text


# ---- The best checkpoint -------------------------------------------------------------------------


def dips(monkeypatch, best):
    """Makes the validation ELBO largest at the step `best`."""
    losses = VAE.losses

    def bent(self, images, noise, training=True):
        result, report = losses(self, images, noise, training)
        if not training:
            away = tf.abs(tf.cast(self.step.value, tf.float32) - best)
            report = {**report, "elbo": 0.0 * report["elbo"] - away}
        return result, report

    monkeypatch.setattr(VAE, "losses", bent)


def test_the_best_stays_whatever_comes_after(tmp_path, monkeypatch):
    dips(monkeypatch, 4)
    run = train(tiny(**WATCHED, checkpoint_every=1, steps=4), tmp_path / "run").run
    run = train(tiny(**WATCHED, checkpoint_every=1, steps=10), tmp_path / "run").run
    assert run.checkpoints.steps() == [8, 9, 10]
    assert [f.name for f in (run.path / "checkpoints").glob("best-*")] == ["best-elbo-00000004"]
    assert run.checkpoints.best() == Best("elbo", 0.0, 20)
    best = zoo.load_run(run.path, checkpoint="best")
    assert int(best.model.step.numpy()) == 4 and int(run.model.step.numpy()) == 10
    straight = train(tiny(steps=4), tmp_path / "straight").run
    assert best.model.fingerprint == straight.model.fingerprint != run.model.fingerprint


def test_a_resume_knows_what_was_best(tmp_path, monkeypatch):
    dips(monkeypatch, 2)
    run = train(tiny(**WATCHED, steps=2), tmp_path).run
    run = train(tiny(**WATCHED, steps=6), tmp_path).run
    assert run.checkpoints.best() == Best("elbo", 0.0, 20)
    run = train(tiny(**{**WATCHED, "keep_best": "kl"}, steps=8), tmp_path).run  # of another term
    assert run.checkpoints.best().term == "kl"
    assert [f.name for f in (tmp_path / "checkpoints").glob("best-*")] == ["best-kl-00000008"]


def test_a_writer_that_was_killed_leaves_whole_ones(watched, tmp_path, monkeypatch):
    folder = shutil.copytree(watched.path / "checkpoints", tmp_path / "checkpoints")
    store, model = CheckpointStore(folder), watched.model
    before = store.best()
    better = Best("elbo", before.value + 1, 20)
    with monkeypatch.context() as patch:  # before the rename
        patch.setattr("zoo.checkpoints._write", lambda *_: 1 / 0)
        model.step.assign(8)
        with pytest.raises(ZeroDivisionError):
            store.save_best(model, better)
    assert store.best() == before
    with monkeypatch.context() as patch:  # between the rename and the end of the one before
        patch.setattr("zoo.checkpoints.remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.save_best(model, better)
    assert len(list(folder.glob("best-*"))) == 2 and store.best() == better
    assert store.restore_best(model) == 8
    model.step.assign(9)
    store.save_best(model, better)
    assert [f.name for f in folder.glob("best-*")] == ["best-elbo-00000009"]
    model.step.assign(6)


@pytest.mark.parametrize(
    ("term", "higher", "better"),
    [("elbo", True, 2.0), ("kl", False, 0.0)],
)
def test_which_value_is_better(term, higher, better):
    first = Best(term, 1.0, 20)
    assert first.beats(None, higher) and Best(term, better, 20).beats(first, higher)
    assert not first.beats(Best(term, better, 20), higher) and not first.beats(first, higher)
    assert first.beats(Best("other", better, 20), higher)
    assert first.beats(Best(term, better, 500), higher)
    assert (term in VAE.higher_is_better) == higher


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_best": "elbow", "validate_every": 2}, "keep_best='elbow' is no term of vae: did"),
        ({"keep_best": "elbo"}, "keep_best=elbo needs validate_every"),
        ({"validate_every": -1}, "validate_every=-1 is not accepted"),
        ({"validate_every": 3, "steps_per_execution": 2}, "must divide validate_every=3"),
        ({"ema_decay": 1.0}, "ema_decay=1.0 is not accepted"),
    ],
)
def test_refused_before_any_work(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message) as error:
        train(tiny(**settings), tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_which_checkpoint_is_asked_for(plain):
    with pytest.raises(UsageError, match="checkpoint='bets' is not known: did you mean best"):
        zoo.load_run(plain.path, checkpoint="bets")
    with pytest.raises(UsageError, match="has no best checkpoint: expected a run that was trained"):
        zoo.load_run(plain.path, checkpoint="best").model  # noqa: B018


def test_a_damaged_best_is_told(watched, tmp_path):
    run = Run.open(shutil.copytree(watched.path, tmp_path / "run"), "best")
    (folder,) = (run.path / "checkpoints").glob("best-*")
    content = (folder / "state.npz").read_bytes()
    (folder / "state.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="the best checkpoint .* is damaged"):
        run.model  # noqa: B018
    (folder / "best.json").write_text("[]")
    with pytest.raises(UsageError, match="best.json is damaged"):
        run.checkpoints.best()


def test_through_the_programs(tmp_path, capsys):
    flags = [f"--{name}={value}" for name, value in {**TINY, **WATCHED}.items()]
    run = tmp_path / "run"
    assert call("train", *flags, "--ema_decay=0.9", f"--run_dir={run}") == 0
    assert "validation_elbo" in capsys.readouterr().out
    best = int(zoo.load_run(run, checkpoint="best").model.step.numpy())
    of = [f"--run_dir={run}", "--checkpoint=best"]
    assert call("export", *of, f"--output={tmp_path}", "--name=m") == 0
    assert f"exported step {best} of" in capsys.readouterr().out
    assert call("evaluate", *of, "--metrics=elbo", "--num_samples=4") == 0
    assert call("evaluate", of[0], "--metrics=elbo", "--num_samples=4") == 0
    records = json.loads((run / "evaluation.json").read_text())["records"]
    assert {r["subject"].endswith(" (best)") for r in records} == {True, False}
    assert call("sample", *of, f"--output={tmp_path / 's.npz'}", "--num_samples=2") == 0
    expected = zoo.sample(zoo.load_run(run, checkpoint="best"), 2)
    drawn = np.load(tmp_path / "s.npz")
    np.testing.assert_allclose(drawn["z"], expected["z"], atol=1e-6)
    assert call("encode", *of, "--split=test", f"--output={tmp_path / 'c.npz'}") == 0
    capsys.readouterr()
    saved = f"--saved_model={tmp_path / 'm/1'}"
    assert call("sample", saved, of[1], f"--output={tmp_path / 't.npz'}") == 2
    assert "checkpoint=best applies to --run_dir only" in capsys.readouterr().err


# ---- Averaged weights ----------------------------------------------------------------------------


def test_averages_follow_the_training_and_leave_it_alone(plain, tmp_path):
    settings = {"ema_decay": 0.6, "checkpoint_every": 1}
    run = train(tiny(**settings, steps=3), tmp_path).run
    third = state(tmp_path, 3)
    train(tiny(**settings), tmp_path)
    whole = state(tmp_path, 6)
    averages = {n: v for n, v in whole.items() if n.startswith("average/")}
    assert_same(state(plain.path, 6), {n: v for n, v in whole.items() if n not in averages})
    assert {n.removeprefix("average/") for n in averages} == set(run.model.network_state)
    expected = {name: third[name] for name in averages}
    for step in (4, 5, 6):
        decay, weights = min(0.6, (1 + step) / (10 + step)), state(tmp_path, step)
        for name in averages:
            weight = weights[name.removeprefix("average/")]
            expected[name] = weight + decay * (expected[name] - weight)
    for name, value in averages.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-7, err_msg=name)


def test_a_run_is_sampled_and_measured_with_its_averages(tmp_path):
    result = train(tiny(ema_decay=0.9), tmp_path)
    model, run = result.model, zoo.load_run(tmp_path)
    assert run.model.fingerprint != model.fingerprint
    raw = model.sample(2, seed=1)["images"].numpy()
    with model.averaged():
        assert run.model.fingerprint == model.fingerprint
        np.testing.assert_array_equal(
            model.sample(2, seed=1)["images"], run.model.sample(2, seed=1)["images"]
        )
    np.testing.assert_array_equal(model.sample(2, seed=1)["images"], raw)


def test_a_keras_file_goes_on_with_averages(tmp_path):
    images = np.random.default_rng(0).random((8, 28, 28, 3), np.float32)
    model = zoo.VAE(latent_size=3, width=0.06)
    model.compile(ema_decay=0.9, clip_norm=1.0)
    model.train_on_batch(images)
    model.save(tmp_path / "m.keras")
    other = zoo.load_model(tmp_path / "m.keras")
    for one in (model, other):
        one.train_on_batch(images)
    assert other.clip_norm == 1.0
    assert_same(*({n: v.numpy() for n, v in one.state.items()} for one in (model, other)))
