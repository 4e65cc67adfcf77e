import pytest

from zoo.config import RunConfig
from zoo.files import write_json
from zoo.run import Run

METRIC_OF = {"kl": "elbo", "precision": "precision_recall"}


def record(metric="elbo", value=-1234.5678, error=0.25, **others):
    """A record as `evaluation.json` has it."""
    own = metric.removesuffix("_data")
    return {
        "metric": metric,
        "value": value,
        "standard_error": error,
        "n": 321,
        "split": "test",
        "step": 20,
        "definition": "a < b & c",
        "asked": {"metric": METRIC_OF.get(own, own)},
        **others,
    }


def measured(run, *records, pictures=()):
    write_json(run.path / "evaluation.json", {"records": records, "pictures": list(pictures)})


@pytest.fixture
def run(tmp_path):
    """Without a checkpoint."""
    return Run.create_or_resume(
        tmp_path / "<run>", RunConfig.create(latent_size=7), "none", (28, 28, 3)
    )


@pytest.fixture
def warnings_logged(monkeypatch):
    from absl import logging

    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    return lines
