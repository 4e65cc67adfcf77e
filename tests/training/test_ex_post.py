"""A prior that is fitted to the codes of a run, from the run to what its new run gives."""

import json
import shutil

import numpy as np
import pytest

import zoo
from tests.flags.in_process import call, contents
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.records import read_evaluation
from zoo.registry import EX_POST_PRIORS

TINY = {
    "dataset": "color_mnist_mini",
    "width": 0.06,
    "latent_size": 3,
    "steps": 3,
    "batch_size": 8,
    "strategy": "one_device",
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    run = zoo.train(tmp_path_factory.mktemp("ex_post") / "vae", model="vae", **TINY)
    codes = run.model.encode(run.dataset.split("validation").images)["mean"].numpy()
    kernel = run.model.encoder.head.from_features.kernel
    apart = 3 / codes.std(axis=0)  # unlike the first steps', which are N(0, I) all
    kernel.assign(kernel * np.concatenate([apart, np.ones(3)]))
    run.model.step.assign(4)
    run.checkpoints.save(run.model)
    return zoo.load_run(run.path)


FIRST, *OTHERS = EX_POST_PRIORS


@pytest.fixture(
    scope="module", params=[FIRST, *(pytest.param(o, marks=pytest.mark.slow) for o in OTHERS)]
)
def made(request, parent, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ex_post") / request.param
    before = contents(parent.path)
    arguments = f"--prior={request.param}", f"--output_dir={folder}", "--steps=200"
    assert call("fit_prior", f"--run_dir={parent.path}", *arguments) == 0
    assert contents(parent.path) == before
    return zoo.load_run(folder)


def mean_elbo(run):
    subject, images = Subject.of_run(run), run.dataset.split("test").images
    return subject, subject.all("elbo", images=images, seed=1)


def test_the_bound_grows_by_what_the_density_gains(parent, made):
    """The KL is that of the draw, and in the mean the old one less log r(z) - log p(z)."""
    (before, old), (_, new) = mean_elbo(parent), mean_elbo(made)
    np.testing.assert_array_equal(old["log_likelihood"], new["log_likelihood"])
    images = parent.dataset.split("test").images
    z = before.all("sample_posterior", images=images, seed=1)["z"]
    q = before.all("encode", images=images)
    log_q = -0.5 * (((z - q["mean"]) / q["stddev"]) ** 2 + np.log(2 * np.pi)).sum(1)
    log_q -= np.log(q["stddev"]).sum(1)
    log_r = made.model.prior().log_prob(z)
    np.testing.assert_allclose(new["kl"], log_q - log_r, rtol=1e-3, atol=1e-3)
    gain = float(new["elbo"].mean() - old["elbo"].mean())
    assert gain > 0.2
    told = json.loads((made.path / "prior.json").read_text())
    assert told["prior"] == made.config.model.prior and told["run"] == str(parent.path)
    assert told["log_ratio"] == pytest.approx(gain, abs=0.3 * gain)
    assert (told["fit_codes"], told["held_out_codes"]) == (20_000, 500)


def test_it_draws_from_the_fit(parent, made):
    subject = Subject.of_run(made)
    drawn = subject.all("sample", seed=0, count=2000)
    np.testing.assert_array_equal(drawn["z"], subject.all("sample_prior", seed=0, count=2000)["z"])
    codes = Subject.of_run(parent).all(
        "sample_posterior", images=parent.dataset.split("train").images, seed=5
    )["z"]
    scale = codes.std(axis=0)
    np.testing.assert_allclose(drawn["z"].mean(0) / scale, codes.mean(0) / scale, atol=0.15)
    np.testing.assert_allclose(drawn["z"].std(0), scale, rtol=0.15)
    assert not np.allclose(scale, 1, atol=0.2)  # as N(0, I) would not


def test_the_new_run_is_a_run(parent, made, tmp_path):
    assert made.model.fingerprint == zoo.load_run(made.path).model.fingerprint
    assert made.history() == parent.history() != []
    assert made.model.bound_status == "estimate" and int(made.model.step.numpy()) == 4
    assert made.config.differences(parent.config) == [
        f"prior: '{made.config.model.prior}' -> 'standard_normal'"
    ]
    exact = made.model.prior_head.exact
    assert exact == ("log_prior" in made.model.available_signatures)
    metrics = "--metrics=elbo" + ",marginal_kl" * exact
    assert call("evaluate", f"--run_dir={made.path}", metrics, "--num_samples=200") == 0
    records = {r["metric"]: r for r in read_evaluation(made.path / "evaluation.json")["records"]}
    assert records["elbo"]["details"]["bound_status"] == "estimate"
    assert call("report", f"--run_dir={made.path}") == 0
    served = zoo.export_run(made, tmp_path, "it")
    one = Subject.of_run(made).all("sample", seed=3, count=4)
    other = Subject.of_saved_model(served).all("sample", seed=3, count=4)
    np.testing.assert_allclose(one["images"], other["images"], rtol=1e-5, atol=1e-6)
    moved = shutil.copytree(made.path, tmp_path / "moved")
    assert zoo.load_run(moved).model.fingerprint == made.model.fingerprint


def test_a_bound_of_the_density_is_not_taken_for_it(parent, made, capsys):
    arguments = "--metrics=marginal_kl", "--num_samples=200"
    code = call("evaluate", f"--run_dir={made.path}", *arguments)
    assert code == (0 if made.model.prior_head.exact else 2)
    if code:
        assert "its density is not known (two_stage)" in capsys.readouterr().err


def test_it_is_not_trained_further(made, capsys):
    before = contents(made.path)
    assert call("train", f"--run_dir={made.path}", "--steps=9") == 2
    assert "is fitted to a run that is trained" in capsys.readouterr().err
    assert contents(made.path) == before


def test_data_in_the_run_folder_go_with_it(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 3), np.uint8)
    settings = {name: value for name, value in TINY.items() if name != "dataset"}
    run = zoo.train(tmp_path / "parent", images=images, model="aae", **settings)
    made = zoo.fit_prior(run, "gmm_full_10", tmp_path / "made")
    shutil.rmtree(run.path)
    assert made.has_own_data and made.dataset.image_shape == (28, 28, 3)
    assert made.model.bound_status == "estimate"


@pytest.mark.parametrize(
    ("settings", "bound"),
    [({"model": "aae", "posterior": "deterministic"}, "not_available"), ({"model": "dcgan"}, None)],
)
def test_other_models(tmp_path, settings, bound):
    run = zoo.train(tmp_path / "parent", **TINY, **settings)
    if bound is None:
        with pytest.raises(UsageError, match="has no signature 'sample_posterior'"):
            zoo.fit_prior(run, "gmm_50", tmp_path / "made")
        assert not (tmp_path / "made").exists()
        return
    made = zoo.fit_prior(run, "gmm_50", tmp_path / "made")
    assert made.model.bound_status == bound
    assert "elbo" not in made.model.available_signatures
    assert np.isfinite(zoo.sample(made, 3)["images"]).all()


def test_mistakes_in_one_line(parent, tmp_path, capsys):
    run = f"--run_dir={parent.path}"
    for arguments, message in (
        ([run, "--prior=gmm", f"--output_dir={tmp_path / 'x'}"], "gmm_50"),
        ([run, "--prior=maf"], "give --output_dir"),
        ([run, "--prior=maf", f"--output_dir={parent.path}"], "is not empty: expected a new"),
        ([f"--run_dir={tmp_path}", "--prior=maf", "--output_dir=x"], "is not a run folder"),
        ([run, "--prior=maf", f"--output_dir={tmp_path / 'x'}", "--steps=0"], "steps=0 is not"),
    ):
        assert call("fit_prior", *arguments) == 2
        assert message in capsys.readouterr().err
    assert call("train", f"--run_dir={tmp_path / 'x'}", "--prior=maf") == 2
    assert "zoo-fit-prior makes one" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
