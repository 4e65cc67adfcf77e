"""The overview of the models: the paper's Figure 7, and its copy in the README."""

from pathlib import Path

import pytest

from tests.models.variants import VARIANTS, tiny_model
from zoo.models import model_class
from zoo.models.overview import BEGIN, COMMAND, END, main, overview, with_overview
from zoo.registry import MODELS
from zoo.saved_model.signatures import signature_functions

ROOT = Path(__file__).parents[2]


def rows():
    table = overview().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {name: rest for name, *rest in cells}


def test_figure_7():
    """Paper.md section 6.10, row by row."""
    assert rows()["`vae`, `gaussian`"] == [
        *("conditional, likelihood", "conditional, analytic KL", "explicit", "explicit", "exact")
    ]
    assert rows()["`vae`, `real_nvp`"] == [
        *("conditional, likelihood", "conditional, MC KL", "explicit", "explicit", "estimate")
    ]
    assert rows()["`vae`, `prior=vamp`"] == [
        *("conditional, likelihood", "conditional, MC KL to a learned mixture"),
        *("explicit", "explicit", "estimate"),
    ]
    of_figure = {
        "dcgan": ("implicit", "none", "not_available"),
        "wgan_gp": ("implicit", "none", "not_available"),
        "adversarial_vb": ("explicit", "implicit", "ratio_estimate"),
        "vgh": ("implicit", "either", "not_available"),
        "vgh_plus_plus": ("implicit", "either", "not_available"),
    }
    # Figure 7 has one row of "either", whose Gaussian posterior has a bound in closed form.
    assert rows()["`aae`, `gaussian`"][2:] == ["explicit", "explicit", "exact"]
    assert rows()["`aae`, `deterministic`, `implicit`"][2:] == [
        *("explicit", "implicit", "ratio_estimate")
    ]
    # (15) bounds no likelihood of images. Figure 7 has the deterministic reconstructor.
    assert rows()["`veegan`, `unit_gaussian`"][2:] == ["implicit", "explicit", "not_available"]
    assert rows()["`veegan`, `deterministic`"][2:] == ["implicit", "implicit", "not_available"]
    for name, expected in of_figure.items():
        assert tuple(rows()[f"`{name}`"][2:]) == expected, name


def test_rows_agree_with_the_classes():
    """No likelihood, no explicit decoder; no encoder, no posterior."""
    for name in MODELS:
        cls, matching = model_class(name), model_class(name).matching
        assert (matching.decoder == "explicit") == bool(cls.likelihoods), name
        assert (matching.posterior == "none") == ("encoder" not in cls.players), name
        assert set(cls.matching_by_posterior) <= set(cls.posteriors), name
        assert set(cls.matching_by_prior) <= set(cls.priors[1:]), name
    ways = {
        name: {
            *(cls.matching_of(posterior) for posterior in cls.posteriors),
            *(cls.matching_of(None, prior) for prior in cls.priors[1:]),
        }
        for name, cls in ((name, model_class(name)) for name in MODELS)
    }
    assert len(rows()) == sum(max(1, len(matchings)) for matchings in ways.values())
    assert (len(ways["vae"]), len(ways["aae"])) == (3, 2)


def test_a_bound_that_is_said_to_be_there_is_exported():
    """Row by row of the overview: `elbo` where there is a bound, under the name of its status."""
    for variant in [v for v in VARIANTS if {"model", "posterior", "prior"}.issuperset(v)]:
        model = tiny_model(variant)
        status = model.matching_of(model.config.posterior, model.config.prior).bound_status
        assert model.bound_status == status
        assert ("elbo" in model.available_signatures) == (status != "not_available")
        if status != "not_available":
            outputs = signature_functions(model)["elbo"].get_concrete_function().structured_outputs
            assert ("elbo_ratio_estimate" in outputs) == (status == "ratio_estimate")


def test_the_readme_carries_it():
    page = (ROOT / "README.md").read_text()
    assert page == with_overview(page), f"run: {COMMAND}"


def test_the_command_writes_it_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n| an | old |\n{END}\n\nafter\n")
    main([str(page)])
    assert page.read_text() == f"before\n\n{BEGIN}\n\n{overview()}\n\n{END}\n\nafter\n"
    page.write_text("nothing to fill")
    with pytest.raises(ValueError, match="has no place"):
        main([str(page)])
