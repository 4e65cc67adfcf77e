"""Resuming, replacing and refusing; the record of the ELBO."""

import gc
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import zoo
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.likelihood.elbo import Elbo
from zoo.evaluation.protocol import Metric, Picture
from zoo.evaluation.runner import evaluate
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

SIZES = {"train": 9, "validation": 5, "test": 6}


@pytest.fixture
def dataset():
    rng = np.random.default_rng(1)
    images = {k: rng.integers(0, 256, (n, 2, 2, 1), dtype=np.uint8) for k, n in SIZES.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


class Calls(list):
    """Signatures of a fake model; the list says which were called."""

    def elbo(self, images, seed):
        self.append("elbo")
        assert len(seed) == len(images)
        value = tf.reduce_sum(images, (1, 2, 3))
        return {"elbo": value, "kl": 2 * value}

    def encode(self, images):
        self.append("encode")
        flat = tf.reshape(images, (len(images), 4))
        return {"mean": flat[:, :2], "stddev": flat[:, 2:] + 0.1}


def fake(*signatures, step=5, name="fake", weights=None):
    calls = Calls()
    functions = {s: getattr(calls, s) for s in signatures}
    return Subject(name, functions, "estimate", weights or f"of step {step}", step), calls


def metrics_of(file):
    return [r["metric"] for r in json.loads(file.read_text())["records"]]


def test_elbo_records_mean_and_standard_error(dataset):
    *records, picture = Elbo().measure(fake("elbo")[0], dataset, EvaluationConfig("validation"))
    assert picture.name == "histogram"
    sums = dataset.split("validation").images.reshape(5, -1).astype(np.float64).sum(1) / 255
    for record, name, scale in zip(records, ("elbo", "kl"), (1, 2), strict=True):
        assert record.metric == name and record.n == 5 and record.split == "validation"
        assert record.value == pytest.approx(scale * sums.mean(), rel=1e-6)
        error = scale * sums.std(ddof=1) / np.sqrt(5)
        assert record.standard_error == pytest.approx(error, rel=1e-6)
        assert record.details == {"bound_status": "estimate"}


@pytest.mark.parametrize(("asked", "used"), [(None, 6), (2, 2), (100, 6), (1, 1)])
def test_elbo_uses_as_many_examples_as_are_asked_for(dataset, asked, used):
    record = next(Elbo().measure(fake("elbo")[0], dataset, EvaluationConfig("test", asked)))
    sums = dataset.split("test").some(used).images.reshape(used, -1).sum(1) / 255
    assert record.n == used and record.value == pytest.approx(sums.mean(), rel=1e-6)
    assert (record.standard_error is None) == (used == 1)


def test_all_takes_what_applies(dataset, tmp_path):
    file = tmp_path / "e.json"
    evaluate(fake("elbo")[0], dataset, ["all"], EvaluationConfig(), file)
    assert metrics_of(file) == ["elbo", "kl"]
    evaluate(fake("elbo", "encode")[0], dataset, ["all"], EvaluationConfig(num_samples=50), file)
    assert {"elbo", "kl", "marginal_kl", "average_kl"} <= set(metrics_of(file))


@pytest.mark.parametrize("name", ["elbo", "marginal_kl"])
def test_a_measured_metric_is_not_measured_again(dataset, tmp_path, name):
    file, said = tmp_path / "e.json", []
    subject, calls = fake("elbo", "encode")
    first = evaluate(subject, dataset, [name], EvaluationConfig(num_samples=50), file, said.append)
    before, made = file.read_bytes(), len(calls)
    again = evaluate(subject, dataset, [name], EvaluationConfig(num_samples=50), file, said.append)
    assert said == [f"{name} ...", f"{name}: already measured"]
    assert len(calls) == made > 0 and file.read_bytes() == before and again == first


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("e", "expected a .json file"),  # which its pictures' folder would be called like
        ("e.txt", "expected a .json file"),
        ("taken.json", "taken is a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(dataset, tmp_path, name, told):
    (tmp_path / "taken").touch()
    subject, calls = fake("elbo")
    with pytest.raises(UsageError, match=told):
        evaluate(subject, dataset, ["elbo"], EvaluationConfig(), tmp_path / name)
    assert not calls and [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_goes_on_where_it_was(dataset, tmp_path, monkeypatch):
    file = tmp_path / "e.json"
    subject, calls = fake("elbo", "encode")
    names, settings = ["elbo", "marginal_kl"], EvaluationConfig(num_samples=50)
    with monkeypatch.context() as patch:
        patch.setitem(subject.functions, "encode", lambda images: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(subject, dataset, names, settings, file)
    assert metrics_of(file) == ["elbo", "kl"]
    evaluate(subject, dataset, names, settings, file)
    assert calls.count("elbo") == 1 and "marginal_kl" in metrics_of(file)


@pytest.mark.parametrize(
    "settings",
    [EvaluationConfig("validation"), EvaluationConfig(num_samples=3), EvaluationConfig(seed=1)],
)
def test_answers_to_other_questions_stay(dataset, tmp_path, settings):
    file = tmp_path / "e.json"
    subject, calls = fake("elbo", "encode")
    evaluate(subject, dataset, ["marginal_kl"], EvaluationConfig(num_samples=50), file)
    for each in (EvaluationConfig(), settings, EvaluationConfig(), settings):
        found = evaluate(subject, dataset, ["elbo"], each, file)
        assert {r["asked"]["seed"] for r in found} == {each.seed}
    assert calls.count("elbo") == 2
    records = json.loads(file.read_text())["records"]
    asked = [r["asked"] for r in records if r["metric"] == "elbo"]
    assert [a["split"] for a in asked] == ["test", settings.split]
    assert sum(r["metric"] == "marginal_kl" for r in records) == 1


def test_other_weights_of_a_subject_replace(dataset, tmp_path):
    file = tmp_path / "e.json"
    evaluate(fake("elbo")[0], dataset, ["elbo"], EvaluationConfig(), file)
    subject, calls = fake("elbo", step=6)
    evaluate(subject, dataset, ["elbo"], EvaluationConfig(), file)
    assert calls == ["elbo"] and metrics_of(file) == ["elbo", "kl"]


def test_weights_tell_subjects_apart_and_names_do_not(dataset, tmp_path):
    file = tmp_path / "e.json"
    evaluate(fake("elbo")[0], dataset, ["elbo"], EvaluationConfig(), file)
    moved, calls = fake("elbo", name="moved")
    evaluate(moved, dataset, ["elbo"], EvaluationConfig(), file)
    assert calls == []
    other, calls = fake("elbo", name="other", weights="other")  # of the same step
    evaluate(other, dataset, ["elbo"], EvaluationConfig(), file)
    assert calls == ["elbo"] and metrics_of(file) == ["elbo", "kl"] * 2


def test_a_raised_revision_is_measured_again(dataset, tmp_path, monkeypatch):
    file = tmp_path / "e.json"
    for revision in (1, 2, 2):
        monkeypatch.setattr(Elbo, "revision", revision)
        subject, calls = fake("elbo")
        evaluate(subject, dataset, ["elbo"], EvaluationConfig(), file)
    assert calls == [] and metrics_of(file) == ["elbo", "kl"]


def test_evaluations_that_run_at_once_lose_nothing(dataset, tmp_path):
    """The second begins and ends while the first measures, at every one of its metrics."""
    file = tmp_path / "e.json"
    settings = iter([EvaluationConfig(seed=1), EvaluationConfig(seed=2)])

    def meanwhile(line):
        if line.endswith("..."):
            evaluate(fake("elbo")[0], dataset, ["elbo"], next(settings), file)

    names = ["elbo", "marginal_kl"]
    evaluate(
        fake("elbo", "encode")[0], dataset, names, EvaluationConfig(num_samples=50), file, meanwhile
    )
    asked = [r["asked"] for r in json.loads(file.read_text())["records"] if r["metric"] == "elbo"]
    assert sorted(a["seed"] for a in asked) == [0, 1, 2]
    assert "marginal_kl" in metrics_of(file)


def test_records_carry_what_is_needed_to_read_them(dataset, tmp_path):
    (record, _) = evaluate(
        fake("elbo")[0], dataset, ["elbo"], EvaluationConfig(), tmp_path / "e.json"
    )
    assert (record["subject"], record["step"], record["dataset"]) == ("fake", 5, "tiny")
    assert record["data_fingerprint"] == dataset.fingerprint
    assert "nats" in record["definition"] and "numpy" in record["versions"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fidelity"], "metric='fidelity' is not known: expected one of elbo, iwae"),
        (["marginal_kl"], "fake has no signature 'encode': it has no encoder; it has elbo"),
    ],
)
def test_refused_before_any_work(dataset, tmp_path, names, message):
    subject, calls = fake("elbo")
    with pytest.raises(UsageError, match=message):
        evaluate(subject, dataset, ["elbo", *names], EvaluationConfig(), tmp_path / "e.json")
    assert calls == [] and not (tmp_path / "e.json").exists()


class Pictured(Metric):
    name, needs, uses = "elbo", ("elbo",), ("seed",)

    def measure(self, subject, dataset, settings):
        yield Record("elbo", 1.0, None, 1, "test", "nats")
        yield Picture("dark", "What is seen.", np.zeros((2, 3, 3), np.uint8))


def test_pictures_lie_beside_the_file_with_their_captions(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.evaluation.likelihood.elbo.Elbo", Pictured)
    file = tmp_path / "mine.json"
    for step, seed in ((5, 0), (5, 1), (6, 0)):
        evaluate(fake("elbo", step=step)[0], dataset, ["elbo"], EvaluationConfig(seed=seed), file)
    pictures = json.loads(file.read_text())["pictures"]
    assert [(p["asked"]["seed"], p["step"]) for p in pictures] == [(1, 5), (0, 6)]
    assert {p["caption"] for p in pictures} == {"What is seen."}
    files = {tmp_path / picture["file"] for picture in pictures}
    assert files == set((tmp_path / "mine").iterdir())  # the replaced one is gone
    for shown in files:
        with Image.open(shown) as image:
            assert image.size == (3, 2)


def test_a_setting_that_a_metric_does_not_use_does_not_replace(dataset, tmp_path):
    subject, calls = fake("elbo")
    for steps in (None, 5):
        settings = EvaluationConfig(train_steps=steps)
        evaluate(subject, dataset, ["elbo"], settings, tmp_path / "e.json")
    assert calls == ["elbo"]


def test_a_file_that_is_no_evaluation_is_refused(tmp_path):
    from zoo.records import read_evaluation

    file = tmp_path / "evaluation.json"
    for content in ('["elbo"]', '{"value": 1}', "{"):
        file.write_text(content)
        with pytest.raises(UsageError, match="evaluation.json"):
            read_evaluation(file)
    assert not any(read_evaluation(tmp_path / "none.json").values())


def test_a_run_that_nobody_holds_is_measured_all_the_same(tmp_path):
    zoo.train(tmp_path / "run", model="vae", width=0.06, latent_size=3, steps=1, batch_size=8)
    subject = Subject.of_run(zoo.load_run(tmp_path / "run"))
    gc.collect()
    decode = tf.function(lambda z: subject.functions["decode"](z=z)["images"])
    assert decode(tf.zeros((2, 3))).shape == (2, 28, 28, 3)
