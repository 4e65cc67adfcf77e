"""AIS and the sandwich through nothing but signatures: against exact answers, and the same of a run
and of its export."""

import numpy as np
import pytest

import zoo
from tests.evaluation import linear_gaussian
from tests.evaluation.linear_gaussian import SCALE, W, dataset, log_evidence, subject
from tests.export.runs import make_run
from tests.flags.in_process import call
from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.likelihood.ais import Ais
from zoo.evaluation.likelihood.evidence import Chains, Evidence
from zoo.evaluation.likelihood.iwae_sandwich import IwaeSandwich, sandwich
from zoo.evaluation.likelihood.observation import GaussianObservation
from zoo.evaluation.likelihood.start import start_of
from zoo.evaluation.protocol import Picture
from zoo.evaluation.subject.subject import Subject
from zoo.export.saved_model import export_saved_model
from zoo.files import read_json
from zoo.pictures import save_picture
from zoo.records import Record

DATA = dataset()
SETTINGS = EvaluationConfig(num_samples=2, chain_steps=2, chains=3)


def measured(metric, of, data, settings):
    metric.check(of, data, settings)
    found = list(metric.measure(of, data, settings))
    records = {item.metric: item for item in found if isinstance(item, Record)}
    return records, [item for item in found if isinstance(item, Picture)]


@pytest.mark.parametrize(("start", "steps"), [("encoder", 10), ("prior", 60)])
def test_both_bounds_are_the_evidence_of_a_linear_decoder(start, steps):
    """An encoder half as wide again as it should be, or none; within the gap."""
    model = subject(width=1.5)
    begin = start_of(model, start)
    chains = Chains(steps, 8, Chains.from_start(begin, None, 8).leapfrog)
    evidence = Evidence(model, GaussianObservation(SCALE), begin, chains)
    images = DATA.split("test").images[:24]
    off = evidence.of_images(images, seed=0).lower - log_evidence(images)
    assert off.mean() == pytest.approx(0, abs=0.1) and np.abs(off).max() < 0.8
    found = evidence.of_simulated(24, seed=0)
    truth = log_evidence(255 * found.images)
    gap = (found.upper - found.lower).mean()
    assert abs(gap) < 0.15
    assert (found.lower - truth).mean() < 0.1 and (found.upper - truth).mean() > -0.1


def test_few_steps_leave_a_gap_that_holds_the_truth():
    """From the prior in two steps the bounds are far apart, on the right sides."""
    model = subject("decode")
    begin = start_of(model, "encoder")
    assert begin.name == "prior"
    evidence = Evidence(model, GaussianObservation(0.02), begin, Chains(2, 4, 1))
    found = evidence.of_simulated(16, seed=0)
    truth = log_evidence(255 * found.images, scale=0.02)
    assert found.lower.mean() + 1 < truth.mean() < found.upper.mean() - 1


def test_records_of_a_linear_decoder(tmp_path):
    settings = EvaluationConfig(num_samples=6, chain_steps=10, chains=4, observation_stddev=SCALE)
    records, (picture,) = measured(Ais(), subject(), DATA, settings)
    assert list(records) == ["ais", "bdmc_gap"]
    record, gap = records.values()
    expected = log_evidence(DATA.split("test").some(6).images)
    assert (record.n, record.split) == (6, "test") and record.standard_error > 0
    assert record.value == pytest.approx(expected.mean(), abs=0.1)
    assert record.details["start"] == "encoder" and record.details["observation_stddev"] == SCALE
    assert record.details["bdmc_gap"] == gap.value == pytest.approx(0, abs=0.2)
    assert gap.split is None and "on the model's own data, not on others" in gap.definition
    save_picture(tmp_path / "picture.png", picture.content)


def test_the_standard_deviation_is_the_best_of_validation_images():
    """Images of the model with noise of 0.1 about them."""
    settings = EvaluationConfig(num_samples=2, chain_steps=10, chains=4)
    records, _ = measured(Ais(), subject(), DATA, settings)
    details = records["ais"].details
    assert details["observation_stddev"] == 0.1
    curve = details["validation_bound_by_stddev"]
    assert list(curve) == ["0.025", "0.05", "0.1", "0.2"]
    assert max(curve, key=curve.get) == "0.1"
    assert "N(decode(z), 0.1^2 I)" in records["ais"].definition


def test_sandwich_of_given_weights():
    weights, exact = np.log([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.log([8.0, 9.0])
    lower, upper = sandwich(weights, exact)
    np.testing.assert_allclose(lower, np.log([3.0, 4.0]))
    np.testing.assert_allclose(upper, np.log([4.0, 5.0]))


def test_a_narrow_encoder_shows_in_the_upper_end(monkeypatch):
    """p(x|z) so narrow that its draws stay in [0, 1], as an encoder sees them."""
    monkeypatch.setattr(linear_gaussian, "SCALE", 0.1)
    monkeypatch.setattr(linear_gaussian, "PRECISION", 1 + (W[:, 0] ** 2).sum() / 0.1**2)
    settings = EvaluationConfig(num_samples=200, draws=20, observation_stddev=0.1)
    gaps = {}
    for width in (1.0, 1.4, 0.3):
        records, _ = measured(IwaeSandwich(), subject(width=width), DATA, settings)
        lower, upper = (records[f"iwae_sandwich_{end}"] for end in ("lower", "upper"))
        gaps[width] = upper.value - lower.value
        assert lower.details["gap"] == pytest.approx(gaps[width])
        assert lower.n == 200 and lower.split is None
    assert gaps[1.0] == pytest.approx(0, abs=2e-3)  # every weight is the evidence
    # By 20,000 draws from both laws: 0.016 and 6.5.
    assert 0.004 < gaps[1.4] < 0.04 and 4 < gaps[0.3] < 9
    assert "misses posterior mass" in upper.warnings[0]


# ---- Runs and exports --------------------------------------------------------------------------


def tiny():
    rng = np.random.default_rng(1)
    sizes = {"train": 4, "validation": 4, "test": 4}
    images = {k: rng.integers(0, 256, (n, 28, 28, 3), dtype=np.uint8) for k, n in sizes.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


def both(folder, variant):
    run = make_run(folder / "run", variant)
    exported = export_saved_model(run, folder / "served", "it")
    return Subject.of_run(run), Subject.of_saved_model(exported)


@pytest.mark.parametrize(
    "variant",
    [
        {"model": "vae"},
        {"model": "dcgan"},
        pytest.param({"model": "vae", "likelihood": "quantized_normal"}, marks=pytest.mark.slow),
        pytest.param({"model": "vae", "posterior": "real_nvp"}, marks=pytest.mark.slow),
        pytest.param({"model": "vae", "prior": "vamp", "components": 4}, marks=pytest.mark.slow),
        pytest.param({"model": "ali"}, marks=pytest.mark.slow),
    ],
    ids=lambda variant: "-".join(map(str, variant.values())),
)
def test_a_run_and_its_export_give_the_same(tmp_path, variant):
    one, other = (measured(Ais(), each, tiny(), SETTINGS)[0] for each in both(tmp_path, variant))
    assert one.keys() == other.keys()
    for name, record in one.items():
        assert np.isfinite(record.value)
        assert record.value == pytest.approx(other[name].value, rel=1e-4, abs=0.05)
    start = one["ais"].details["start"]
    assert start == (
        "prior" if variant["model"] == "dcgan" or "posterior" in variant else "encoder"
    )
    own = variant.get("likelihood", "bernoulli") if variant["model"] == "vae" else "gaussian"
    assert one["ais"].details["observation"] == own
    assert ("ais_bits_per_dim" in one) == (own == "quantized_normal")


def test_refused_where_p_x_given_z_is_not_told(tmp_path):
    categorical, _ = both(tmp_path, {"model": "vae", "likelihood": "categorical"})
    data = tiny()
    for metric in (Ais(), IwaeSandwich()):
        with pytest.raises(UsageError, match="does not tell p.x.z. of likelihood=categorical"):
            metric.check(categorical, data, SETTINGS)
        metric.check(categorical, data, EvaluationConfig(observation_stddev=0.1))


def test_refused_where_something_is_missing(tmp_path):
    with pytest.raises(UsageError, match="no signature 'decode'"):
        Ais().check(subject("encode"), DATA, SETTINGS)
    with pytest.raises(UsageError, match="no signature 'encode'"):
        IwaeSandwich().check(subject("decode"), DATA, SETTINGS)
    with pytest.raises(UsageError, match="expected observation_stddev=S"):
        IwaeSandwich().check(subject(), DATA, SETTINGS)
    with pytest.raises(UsageError, match="its encode gives z; expected mean and stddev"):
        IwaeSandwich().check(subject(closed_form=False), DATA, SETTINGS)
    lying = subject()
    lying.likelihood = "bernoulli"
    with pytest.raises(UsageError, match="by its elbo; expected the same"):
        Ais().check(lying, DATA, SETTINGS)
    lying.likelihood = "quantized_normal"
    with pytest.raises(UsageError, match="its decode gives images; expected mean and stddev"):
        Ais().check(lying, DATA, SETTINGS)
    without = ImageDataset("test", {"test": DATA.split("test")}, {})
    with pytest.raises(UsageError, match="split='validation' is not in test"):
        Ais().check(subject(), without, SETTINGS)


def test_the_program(tmp_path, capsys):
    settings = {"batch_size": 8, "width": 0.06, "latent_size": 3, "strategy": "one_device"}
    run = zoo.train(tmp_path / "run", model="vae", dataset="color_mnist_mini", steps=2, **settings)
    output = tmp_path / "e.json"
    chosen = [f"--run_dir={run.path}", "--metrics=ais,iwae_sandwich", f"--output={output}"]
    asked = ["--num_samples=2", "--chain_steps=2", "--chains=2", "--draws=3"]
    assert call("evaluate", *chosen, *asked) == 0, capsys.readouterr().err
    names = [record["metric"] for record in read_json(output)["records"]]
    assert names == ["ais", "bdmc_gap", "iwae_sandwich_lower", "iwae_sandwich_upper"]
    assert len(read_json(output)["pictures"]) == 2
    assert call("evaluate", *chosen, "--chains=0") == 2
    assert "chains=0 is not accepted" in capsys.readouterr().err
