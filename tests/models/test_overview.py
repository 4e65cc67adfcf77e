"""The overview of the models: the paper's Figure 7, and its copy in the README."""

from pathlib import Path

from zoo.models import MODELS, model_class
from zoo.models.overview import overview

ROOT = Path(__file__).parents[2]


def rows():
    table = overview().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {name: rest for name, *rest in cells}


def test_figure_7():
    """Paper.md section 6.10, row by row."""
    assert rows()["`vae`"] == [
        *("conditional, likelihood", "conditional, analytic KL", "explicit", "explicit", "exact")
    ]
    assert rows()["`vae`, `real_nvp`"] == [
        *("conditional, likelihood", "conditional, MC KL", "explicit", "explicit", "estimate")
    ]
    of_figure = {
        "dcgan": ("implicit", "none", "not_available"),
        "wgan_gp": ("implicit", "none", "not_available"),
        "aae": ("explicit", "either", "ratio_estimate"),
        "adversarial_vb": ("explicit", "implicit", "ratio_estimate"),
        "veegan": ("implicit", "implicit", "ratio_estimate"),
        "vgh": ("implicit", "either", "not_available"),
        "vgh_plus_plus": ("implicit", "either", "not_available"),
    }
    for name, expected in of_figure.items():
        assert tuple(rows()[f"`{name}`"][2:]) == expected, name


def test_rows_agree_with_the_classes():
    """No likelihood, no explicit decoder; no encoder, no posterior."""
    for name in MODELS:
        cls, matching = model_class(name), model_class(name).matching
        assert (matching.decoder == "explicit") == bool(cls.likelihoods), name
        assert (matching.posterior == "none") == ("encoder" not in cls.players), name
        assert set(cls.matching_by_posterior) <= set(cls.posteriors), name
    assert len(rows()) == len(MODELS) + 1


def test_the_readme_carries_it():
    assert overview() in (ROOT / "README.md").read_text()
