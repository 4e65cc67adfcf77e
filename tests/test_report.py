import base64
import os
import re

import numpy as np
import pytest

from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.files import write_json
from zoo.pictures import save_png
from zoo.report import write_overview, write_report
from zoo.run import Run

RECORD = {
    "metric": "elbo",
    "value": -1234.5678,
    "standard_error": 0.25,
    "n": 321,
    "split": "test",
    "step": 20,
    "definition": "a < b & c",
    "asked": {"metric": "elbo"},
}


@pytest.fixture
def run(tmp_path):
    return Run.create_or_resume(
        tmp_path / "<run>", RunConfig.create(latent_size=7), "none", (28, 28, 3)
    )


def test_an_untrained_run_has_its_configuration_only(run):
    page = write_report(run).read_text()
    assert "step 0 of 1000" in page and "<tr><td>latent_size</td><td>7</td></tr>" in page
    assert re.findall("<h2>(.*?)</h2>", page) == ["Configuration"]


def test_sections(run):
    for step in (10, 20):
        run.log({"step": step, "kl": 1.0 / step, "elbo": float(step)})
    write_json(run.path / "evaluation.json", {"records": [RECORD, {**RECORD, "split": None}]})
    pictures = {}
    for step, value in ((5, 0), (10, 100), (20, 200)):
        file = run.path / "images" / f"samples-{step:08d}.png"
        save_png(file, np.full((2, 2, 3), value, np.uint8))
        pictures[step] = file.read_bytes()
    page = write_report(run).read_text()
    assert page.count("<h2>") == 4 and "step 20 of 1000" in page
    assert "-1234.57" in page and "&plusmn; 0.25" in page and ">321<" in page
    assert "a &lt; b &amp; c" in page and "&lt;run&gt;" in page and "<run>" not in page
    embedded = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert [base64.b64decode(data) for data in embedded] == [pictures[5], pictures[20]]
    assert page.count("<svg") == 1
    references = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert references and all(r.startswith(("data:", "#")) for r in references)


def test_pictures_of_the_evaluation(run):
    save_png(run.path / "evaluation" / "fid.png", np.zeros((2, 2, 3), np.uint8))
    seen = [
        {"file": f"evaluation/{name}.png", "caption": "a < b", "asked": {"metric": name}}
        for name in ("fid", "lost")
    ]
    write_json(run.path / "evaluation.json", {"records": [RECORD], "pictures": seen})
    page = write_report(run).read_text()
    assert page.count("<figure>") == 1 and "<figcaption>a &lt; b</figcaption>" in page


def test_one_line_of_metrics_has_no_curve(run):
    run.log({"step": 10, "kl": 1.0})
    page = write_report(run).read_text()
    assert "<svg" not in page and "step 10 of" in page


def test_a_record_without_standard_error(run):
    write_json(run.path / "evaluation.json", {"records": [{**RECORD, "standard_error": None}]})
    page = write_report(run).read_text()
    assert "-1234.57" in page and "&plusmn;" not in page


def test_overview_of_runs(tmp_path):
    for name, rate in (("slow", 1e-4), ("fast", 1e-3)):
        config = RunConfig.create(learning_rate=rate)
        run = Run.create_or_resume(tmp_path / "sweep" / name, config, "none", (28, 28, 3))
        run.log({"step": 7, "elbo": 1.0})
        write_json(run.path / "evaluation.json", {"records": [{**RECORD, "value": rate}]})
        save_png(run.path / "images" / "samples-00000007.png", np.zeros((2, 2, 3), np.uint8))
    page = write_overview(tmp_path).read_text()
    assert "<h1>2 runs</h1>" in page and page.count("<figure>") == 2
    head, *rows = re.findall("<tr>(.*?)</tr>", page)
    columns = ["run", "steps", "learning_rate", "elbo"]
    assert re.findall("<th>(.*?)</th>", head) == columns
    cells = [re.findall("<td>(.*?)</td>", row) for row in rows]
    assert [c[0] for c in cells] == ["sweep/fast", "sweep/slow"]
    assert [c[3] for c in cells] == ["0.001 ± 0.25", "0.0001 ± 0.25"]


MARGINAL = {
    "metric": "marginal_kl",
    "value": 15.5,
    "standard_error": 0.01,
    "weights": "a",
    "dataset": "d",
    "data_fingerprint": "f",
    "definition": "that of N examples",
}
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
    records = [{**RECORD, **record} for record in (MARGINAL, *others)]
    write_json(run.path / "evaluation.json", {"records": records})
    page = write_report(run).read_text()
    assert f"that of N examples<br>{said}<" in page and page.count("population:") == 1
    overview = write_overview(run.path.parent).read_text()
    assert f"15.5 ± 0.01; {said}</td>" in overview and overview.count("population:") == 1


def test_overview_needs_a_run(tmp_path):
    with pytest.raises(UsageError, match="has no run folder below it"):
        write_overview(tmp_path)


@pytest.fixture
def warnings_logged(monkeypatch):
    from absl import logging

    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    return lines


def foreign(file):
    file.write_text('{"architectures": ["BertModel"]}')


OTHERS = {
    "foreign": (foreign, "config.json is not the config of a run"),
    "no JSON": (lambda file: file.write_text("model: vae"), "cannot be read as JSON"),
    "a FIFO": (lambda file: os.mkfifo(file), "is not a regular file"),
    "a folder": (lambda file: file.mkdir(), "is not a regular file"),
}
DAMAGES = {
    "metrics.jsonl": "metrics.jsonl is damaged",
    "evaluation.json": "evaluation.json cannot be read",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("make", "message"), OTHERS.values(), ids=OTHERS)
def test_overview_leaves_out_what_is_no_run(run, tmp_path, make, message, warnings_logged):
    (tmp_path / "other").mkdir()
    make(tmp_path / "other" / "config.json")
    page = write_overview(tmp_path).read_text()
    assert "<h1>1 runs</h1>" in page and "&lt;run&gt;" in page
    assert "<h2>Left out</h2>" in page and "<td>other</td>" in page and message in page
    assert len(warnings_logged) == 1 and message in warnings_logged[0]
    assert "left out of the overview: " in warnings_logged[0]


@pytest.mark.parametrize(("name", "message"), DAMAGES.items())
def test_overview_leaves_out_damaged_runs(run, tmp_path, name, message, warnings_logged):
    damaged = Run.create_or_resume(tmp_path / "damaged", run.config, "none", (28, 28, 3))
    (damaged.path / name).write_bytes(b"\xff\n")
    page = write_overview(tmp_path).read_text()
    assert "<h1>1 runs</h1>" in page and "<td>damaged</td>" in page and message in page
    assert len(warnings_logged) == 1 and message in warnings_logged[0]


def test_overview_of_nothing_but_others(tmp_path, warnings_logged):
    foreign(tmp_path / "config.json")
    with pytest.raises(
        UsageError, match="has no run folder below it: .*is not the config of a run"
    ):
        write_overview(tmp_path)


def test_overview_at_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_overview("~") == tmp_path / "report.html"
