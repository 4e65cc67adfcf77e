"""The page of one run, and that of an evaluation."""

import base64
import hashlib
import re

import numpy as np
import pytest

from tests.models.training import trained
from tests.models.variants import TINY
from tests.report.conftest import measured, record
from zoo.config import RunConfig
from zoo.data import load_dataset
from zoo.errors import UsageError
from zoo.evaluation.runner import make_metric
from zoo.pictures import save_png
from zoo.pretrained import open_pretrained
from zoo.records import read_evaluation
from zoo.report import write_evaluation, write_overview, write_report
from zoo.report.metrics import GROUPS, direction_of, grouped
from zoo.report.page import setting_text, write_page
from zoo.run import Run

HEADINGS = re.compile("<h2>(.*?)</h2>")
EMBEDDED = re.compile(r'<img class="(\w+)" width="(\d+)" alt="([^"]*)" src="data:image/png;base64,')


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Runs with a checkpoint, by model."""
    root, pages = tmp_path_factory.mktemp("drawn"), {}

    def page(model):
        if model not in pages:
            config = RunConfig.create(**TINY, model=model)
            fingerprint = load_dataset(config.data).fingerprint
            run = Run.create_or_resume(root / model, config, fingerprint, (28, 28, 3))
            run.checkpoints.save(trained({"model": model}, 1))
            pages[model] = write_report(Run.open(run.path)).read_text()
        return pages[model]

    return page


def test_an_untrained_run_has_its_configuration_only(run):
    page = write_report(run).read_text()
    assert HEADINGS.findall(page) == ["Configuration"]
    assert "<dt>latent_size</dt><dd>7</dd>" in page
    assert "Not drawn: " in page and "has no checkpoint yet: train it first" in page
    assert "<img" not in page


def test_one_sentence_says_what_it_is(run):
    page = write_report(run).read_text()
    (sentence,) = re.findall(r"<p>(Variational autoencoder on .*?)</p>", page)
    assert sentence.startswith(
        "Variational autoencoder on color_mnist_mini, images of 28 x 28 x 3; "
    )
    assert "7 latent dimensions" in sentence and "step 0 of 1000, 64 images a step" in sentence


def test_what_a_trained_run_draws(drawn):
    page = drawn("vae")
    drawings = ["Samples", "Reconstructions", "Latent traversal", "Interpolations"]
    assert HEADINGS.findall(page) == [*drawings, "Configuration"] and "Not drawn" not in page
    shown = [(kind, int(width)) for kind, width, _ in EMBEDDED.findall(page)]
    side = lambda columns: 30 * columns - 2  # noqa: E731
    assert shown == [("pixels", side(columns)) for columns in (8, 8, 9, 9)]
    captions = [caption for _, _, caption in EMBEDDED.findall(page)]
    assert captions[0] == "64 samples of seed 0, none of them chosen"
    assert "images of the test split" in captions[1]
    (kl,) = re.findall("from above, in nats: (.*)", captions[2])
    values = [float(part.split()[1]) for part in kl.split(", ")]
    assert len(values) == TINY["latent_size"] and values == sorted(values, reverse=True)


def test_nothing_is_drawn_where_that_is_not_wanted(tmp_path):
    run = Run.create_or_resume(tmp_path, RunConfig.create(**TINY), "none", (28, 28, 3))
    run.checkpoints.save(trained({"model": "vae"}, 1))
    page = write_report(run, drawing=False).read_text()
    assert HEADINGS.findall(page) == ["Configuration"] and "Not drawn" not in page
    assert "none were drawn" in write_overview(tmp_path, drawing=False).read_text()
    assert "model" not in vars(run)  # whose weights were not read


def test_a_gan_draws_samples_and_says_what_it_lacks(drawn):
    page = drawn("dcgan")
    assert HEADINGS.findall(page) == ["Samples", "Configuration"]
    assert page.count("Not drawn: ") == 1 and "it has no encoder" in page


def test_what_training_and_metrics_left(run):
    for step in (10, 20):
        run.log({"step": step, "kl": 1.0 / step, "elbo": float(step)})
    measured(run, record(), record("kl", split=None))
    pictures = {}
    for step, value in ((5, 0), (10, 100), (20, 200)):
        file = run.path / "images" / f"samples-{step:08d}.png"
        save_png(file, np.full((2, 2, 3), value, np.uint8))
        pictures[step] = file.read_bytes()
    page = write_report(run).read_text()
    assert HEADINGS.findall(page) == ["Metrics", "Training", "Through training", "Configuration"]
    assert "-1234.57" in page and "± 0.25" in page and "n = 321, test" in page
    assert "a &lt; b &amp; c" in page and "&lt;run&gt;" in page and "<run>" not in page
    embedded = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert [base64.b64decode(data) for data in embedded] == [pictures[5], pictures[20]]


def test_the_page_loads_nothing_and_runs_its_own_script_alone(run):
    measured(run, record())
    run.log({"step": 1, "kl": 1.0})
    run.log({"step": 2, "kl": 1.0})
    page = write_report(run).read_text()
    references = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert references and all(r.startswith(("data:", "#")) for r in references)
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])


def test_the_script_is_the_one_that_is_allowed(tmp_path):
    empty = dict.fromkeys(("subtitle", "settings", "groups", "partial", "left_out", "samples"), ())
    empty["count"] = 0
    page = write_page(
        tmp_path / "page.html",
        "comparison.html",
        title="t",
        names=["a", "b"],
        scatter='{"runs": []}',
        scattered=True,
        histories={"panels": ()},
        **empty,
    ).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_curves_have_axes_units_and_the_validation_beside(run):
    for step in (10, 20):
        run.log({"step": step, "decoder_loss": 2.0, "elbo": -1.0, "steps_per_second": 9.0})
    run.log({"step": 20, "validation_elbo": -2.0})
    run.log({"step": 30, "validation_elbo": -2.5})
    page = write_report(run).read_text()
    panels = re.findall("<svg.*?</svg>", page, re.DOTALL)
    texts = [re.findall(r"<text[^>]*>([^<]*)</text>", panel) for panel in panels]
    titles = [text[-1] for text in texts]
    assert titles == ["elbo", "decoder_loss", "steps_per_second"]  # the model's terms first
    assert all("step" in text for text in texts)
    assert "nats per image" in texts[0] and "steps per second" in texts[2]
    key = re.findall(r'<span class="line" style="[^"]*"></span>(\w+)', page)
    assert key == ["training", "validation"]
    assert "#010203" not in page and "currentColor" in panels[0]  # readable in dark


def test_one_line_of_metrics_has_no_curve(run):
    run.log({"step": 10, "kl": 1.0})
    page = write_report(run).read_text()
    assert "<svg" not in page and "step 10 of" in page


def test_a_record_without_standard_error(run):
    measured(run, record(error=None))
    page = write_report(run).read_text()
    assert "-1234.57" in page and "± 0" not in page


def test_metrics_stand_in_groups_with_their_direction(run):
    measured(run, record("fid", 3.0), record("kl", 2.0), record("elbo"), record("gone", 1.0))
    page = write_report(run).read_text()
    assert re.findall("<h3>(.*?)</h3>", page) == ["Likelihood", "Samples", "Others"]
    rows = re.findall(r'<div class="name">(.*?)</div>', page, re.DOTALL)
    found = {row.split()[0]: re.findall('title="(.*?)"', row) for row in rows}
    assert found == {
        "kl": [],
        "elbo": ["higher is better"],
        "fid": ["lower is better"],
        "gone": [],
    }


# Of likelihoods and posteriors that the shipped model does not have.
ELSEWHERE = {"elbo_ratio_estimate", "bits_per_dim"}


def test_what_metrics_say_of_their_records_is_of_records_that_they_have():
    run = open_pretrained("color_mnist_mini/vae")
    records = read_evaluation(run.path / "evaluation.json")["records"]
    for name in {r["asked"]["metric"] for r in records}:
        metric = make_metric(name)
        own = {r["metric"] for r in records if r["asked"]["metric"] == name}
        up, down = set(metric.higher_is_better), set(metric.lower_is_better)
        assert (up | down) - ELSEWHERE <= own and not up & down
        assert {*metric.beside, *metric.beside.values()} <= own
    assert {direction_of(r) for r in records} == {"up", "down", ""}
    assert set(grouped(records)) == {*GROUPS.values()}


def test_nothing_is_written_to_a_pretrained_models_folder():
    run = open_pretrained("color_mnist_mini/vae")
    before = set(run.path.iterdir())
    with pytest.raises(UsageError, match="is a pretrained model"):
        write_report(run)
    assert set(run.path.iterdir()) == before


def bars(page):
    """Widths of values, and places of references, in percent."""
    widths = re.findall(r'class="value" y="2" height="6" width="([\d.]+)"', page)
    places = re.findall(r'class="reference" x1="([\d.]+)"', page)
    return [(float(w), float(p)) for w, p in zip(widths, places, strict=True)]


def test_the_datas_own_score_stands_beside_a_metric_and_has_no_row(run):
    measured(run, record("precision_data", 0.8), record("precision", 0.4), record("kid_data", -0.1))
    page = write_report(run).read_text()
    assert "data 0.8 ± 0.25" in page and page.count('<div class="name">') == 2  # no kid is there
    ((value, reference),) = bars(page)
    assert reference == pytest.approx(100 / 1.05, abs=0.01) and value == pytest.approx(
        reference / 2, abs=0.01
    )


def test_the_floor_stands_beside_a_marginal_kl(run):
    asked = {"asked": {"metric": "marginal_kl"}}
    measured(
        run,
        record("marginal_kl", 12.0, **asked),
        record("marginal_kl_floor", 6.0, None, **asked),
    )
    page = write_report(run).read_text()
    ((value, reference),) = bars(page)
    assert "floor 6</span>" in page and value == pytest.approx(2 * reference, abs=0.02)


def test_no_bar_of_a_negative_number(run):
    measured(run, record("kid_data", -0.1, None), record("kid", 0.2))
    page = write_report(run).read_text()
    assert "data -0.1</span>" in page and bars(page) == []


def test_another_questions_score_of_the_data_does_not_stand_beside(run):
    asked = {"metric": "fid", "split": "train"}
    measured(run, record("fid_data", 1.0, asked=asked), record("fid", 2.0))
    assert bars(write_report(run).read_text()) == []


def test_warnings_are_seen(run):
    measured(run, record(warnings=["n = 3 < 5: little"]))
    page = write_report(run).read_text()
    assert '<p class="warning">n = 3 &lt; 5: little</p>' in page


def test_pictures_of_the_evaluation(run):
    save_png(run.path / "evaluation" / "fid.png", np.zeros((2, 2, 3), np.uint8))
    seen = [
        {"file": f"evaluation/{name}.png", "caption": "a < b", "asked": {"metric": name}}
        for name in ("fid", "lost")
    ]
    measured(run, record(), pictures=seen)
    page = write_report(run).read_text()
    assert page.count("<figure") == 1 and "<figcaption>a &lt; b</figcaption>" in page


MARGINAL = record(
    "marginal_kl", 15.5, 0.01, weights="a", dataset="d", data_fingerprint="f", definition="of N"
)
LOWER = {**MARGINAL, "metric": "population_kl_lower", "value": 3.25, "standard_error": 0.125}
UPPER = {**MARGINAL, "metric": "population_kl_upper", "value": 15.75, "standard_error": None}


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([LOWER, UPPER], "population: 3.25 ± 0.125 to 15.75"),
        ([LOWER], "population: 3.25 ± 0.125 to no bound"),
        ([], "population: not measured (population_kl)"),
        ([{**LOWER, "weights": "b"}], "population: not measured (population_kl)"),
    ],
)
def test_the_populations_interval_stands_beside_a_marginal_kl(run, others, said):
    measured(run, MARGINAL, *others)
    page = write_report(run).read_text()
    assert f'<p class="beside">{said}</p>' in page and page.count("population:") == 1
    overview = write_overview(run.path.parent).read_text()
    assert f'<span class="soft">{said}</span>' in overview and overview.count("population:") == 1


def test_an_evaluation_has_a_part_for_each_subject(run, tmp_path):
    measured(run, record(subject="a<b", dataset="d"), record("kl", 5.0, subject="c", dataset="d"))
    (run.path / "evaluation.json").rename(tmp_path / "gan.json")
    page = write_evaluation(tmp_path / "gan.json").read_text()
    assert HEADINGS.findall(page) == ["a&lt;b and d", "c and d"]
    assert page.index("-1234.57") < page.index("c and d</h2>") < page.index("<b>5</b>")


def test_settings_read_as_flags_have_them():
    assert setting_text({"all": 0.001}) == "0.001" and setting_text(3) == "3"
    assert setting_text({"encoder": 1.0, "decoder": 2.0}) == "encoder=1.0, decoder=2.0"
