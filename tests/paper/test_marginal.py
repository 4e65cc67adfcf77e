"""What the study of posteriors makes of the numbers of its runs."""

from types import SimpleNamespace

import pytest

from zoo.paper.marginal import posterior_sizes, posteriors
from zoo.paper.outcome import NOT_SEEN, SEEN, UNDECIDED
from zoo.paper.scales import SCALES

SIZES = {"latent_size": 50, "width": 0.5, "steps": 6000}


class FakeLab:
    """Its runs measure what they are told: the RealNVP's marginal KL is `ratio` times the
    Gaussian's, with a spread over pairs and over seeds."""

    scale = SCALES["medium"]

    def __init__(self, ratio, spread, by_seed=(1, 1, 1), of_seeds=0.0):
        self.ratio, self.spread, self.by_seed, self.of_seeds = ratio, spread, by_seed, of_seeds

    def train(self, model, seed, posterior="gaussian", **sizes):
        assert model == "vae"
        assert seed in (self.scale.seeds[:1] if "steps" in sizes else self.scale.seeds)
        found = {**SIZES, **sizes}
        return SimpleNamespace(
            seed=seed,
            posterior=posterior,
            config=SimpleNamespace(
                model=SimpleNamespace(latent_size=found["latent_size"], width=found["width"]),
                training=SimpleNamespace(steps=found["steps"]),
            ),
        )

    def measure(self, run, *metrics):
        assert {"population_kl", "marginal_kl"} <= set(metrics)
        size, steps = run.config.model.latent_size, run.config.training.steps
        factor = 1.0
        if run.posterior == "real_nvp":
            factor = self.ratio + self.spread * (size / 50 - 1) + self.of_seeds * (run.seed - 1)
        kl = 0.1 * size * factor * (2 if steps == 100_000 else 1) * self.by_seed[run.seed]
        interval = {"population_kl_lower": 2.0, "population_kl_upper": 9.0}
        return interval | {"marginal_kl": kl, "marginal_kl_floor": 0.9 * kl}


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [(1.0, 0.05, SEEN), (0.95, 0.01, SEEN), (0.7, 0.05, NOT_SEEN), (0.92, 0.5, UNDECIDED)],
)
def test_pairs_of_every_size_decide_together(ratio, spread, verdict):
    outcome = posterior_sizes(FakeLab(ratio, spread))
    (claim,) = outcome.claims
    assert claim.verdict == verdict, claim.numbers
    seeds = (0, 1, 2)
    mean = ratio + spread * ((10 + 75) / 50 - 2) * len(seeds) / 11
    assert f"11 pairs of 5 sizes; the second over the first {mean:.4g} ± " in claim.numbers
    table = outcome.tables["marginal_kl"]
    groups = [((size, 0.5, 6000), seeds) for size in (10, 50, 75)]
    groups += [((50, 1.0, steps), (0,)) for steps in (10_000, 100_000)]
    assert [
        (row["variant"], (row["latent_size"], row["width"], row["steps"]), row["seed"])
        for row in table
    ] == [
        (variant, sizes, seed)
        for sizes, repeats in groups
        for variant in ("gaussian", "real_nvp")
        for seed in repeats
    ]
    _, figure = outcome.pictures["marginal_kl"]
    assert figure.axes[4].get_title() == "50 latents, width 1.0, 100,000 steps"


def test_what_varies_by_seed_cancels():
    """The seeds' KLs lie further apart than a tenth, the two of each do not."""
    by_seed = (1, 1.2, 1.7)
    (claim,) = posteriors(FakeLab(1.0, 0.0, by_seed, of_seeds=0.001)).claims
    assert claim.verdict == SEEN
    assert claim.numbers == (
        "6.5 ± 1 against 6.501 ± 1 nats, over floors of 5.85 and 5.851; of the population 2 to 9 "
        "and 2 to 9; the second over the first 1 ± 0.00058"
    )
    (claim,) = posteriors(FakeLab(1.0, 0.0, by_seed)).claims  # of a spread that nobody knows
    assert claim.verdict == UNDECIDED


def test_a_posterior_that_is_the_prior_leaves_the_ratio_open():
    lab = FakeLab(1.0, 0.0)
    told = lab.measure
    lab.measure = lambda *asked: dict.fromkeys(told(*asked), 0.0)
    (claim,) = posterior_sizes(lab).claims
    assert claim.verdict == UNDECIDED
