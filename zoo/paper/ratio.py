"""Estimates of the marginal KL by learning, against Monte Carlo: Figures 4 and 21, Tables 1, 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.evaluation.latent.code_samplers import Aggregate
from zoo.evaluation.latent.density_ratio_kl import RatioOptions, estimate
from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Outcome, Rows, column, compare_pairs, mean_and_error
from zoo.paper.pictures import bars, legend_below
from zoo.records import INTERVAL

# Tables 1 and 2: layer counts are lost, the grid around what survives is chosen [C]; the numbers
# are the paper's KLs, in nats.
TABLE_1 = (
    ({"hidden_layers": 3}, 2.3),
    ({"hidden_layers": 4}, 3.3),
    ({"hidden_layers": 3, "activation_noise": 0.1}, 25812.8),
    ({"hidden_layers": 3, "gradient_penalty": 10.0}, 3.1),
)
TABLE_2 = (
    ({"hidden_layers": 4}, 17.7),
    ({"hidden_layers": 4, "activation_noise": 0.1}, 720140.9),
    ({"hidden_layers": 4, "learning_rate": 1e-4}, 14.8),
    ({"hidden_layers": 5}, 18.8),
    ({"hidden_layers": 5, "dropout": 0.5}, 19.0),
    ({"hidden_layers": 6, "learning_rate": 1e-4}, 18.0),
    ({"hidden_layers": 10, "learning_rate": 1e-4}, 18.1),
)


# What the tables leave as it is, where they do not name it.
_PLAIN = {
    "learning_rate": 5e-4,
    "activation_noise": 0.0,
    "dropout": 0.0,
    "gradient_penalty": 0.0,
}


def density_ratio(lab: Lab) -> Outcome:
    """Density ratio against Monte Carlo (Figure 4)."""
    names = ("density_ratio_kl", "density_ratio_kl_donsker_varadhan", "marginal_kl")
    rows = _measured(lab, "density_ratio_kl", names)
    claim = _below(
        rows, "density_ratio_kl", "the density ratio's estimate lies below Monte Carlo's"
    )
    return Outcome([claim], {"estimates": rows}, {"estimates": _bars(rows, names)})


def density_models(lab: Lab) -> Outcome:
    """Density models against Monte Carlo (Figure 21)."""
    fitted = ("gaussian", "gmm", "gmm_full_10", "maf", "lstm")
    models = [f"density_model_kl_{m}" for m in fitted]
    names = (*models, "marginal_kl")
    rows = _measured(lab, "density_model_kl", names)
    claims = [
        _below(rows, model, f"{model} stays below the theoretical bound, Monte Carlo's value")
        for model in models
    ]
    return Outcome(claims, {"estimates": rows}, {"estimates": _bars(rows, names)})


def classifier_sensitivity(lab: Lab) -> Outcome:
    """How far the classifier's settings move the density ratio's estimate (Tables 1 and 2)."""
    grids = {"table_1": TABLE_1, "table_2": TABLE_2}
    distinct = dict.fromkeys(tuple(options.items()) for options, _ in (*TABLE_1, *TABLE_2))
    tables: dict[str, Rows] = {name: [] for name in grids}
    monte_carlo = []
    for seed in lab.scale.seeds:
        run = lab.train("vae", seed=seed)
        monte_carlo.append(lab.measure(run, "marginal_kl")["marginal_kl"])
        aggregate = Aggregate.of(lab.subject(run.path), run.dataset)
        # By settings, of which the tables share one.
        found = {options: _sensitivity(lab, aggregate, seed, dict(options)) for options in distinct}
        for name, grid in grids.items():
            tables[name] += [
                {"seed": seed, **found[tuple(options.items())], "paper": paper}
                for options, paper in grid
            ]
    mean = sum(monte_carlo) / len(monte_carlo)
    claims = [
        claim for name, rows in tables.items() for claim in _sensitivity_claims(name, rows, mean)
    ]
    return Outcome(claims, tables)


def _sensitivity(
    lab: Lab, aggregate: Aggregate, seed: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    sizes = {"steps": lab.scale.estimator_steps, "samples": lab.scale.samples}

    def values() -> dict[str, float]:
        result = estimate(
            aggregate.sampler(1),
            aggregate.subject.prior_sampler(aggregate.latent_size, 2),
            aggregate.latent_size,
            RatioOptions(**options),
            **sizes,
            progress=True,
        )
        return {
            "kl": result.value,
            "spread": result.spread,
            "donsker_varadhan": result.donsker_varadhan,
        }

    shown = {"hidden_layers": None, **_PLAIN, **options}
    return {**shown, **lab.once("sensitivity", values, seed=seed, **sizes, **options)}


def _sensitivity_claims(where: str, rows: Rows, monte_carlo: float) -> list[Claim]:
    """Of a VAE per seed, and critics of each on the same codes."""
    layers = rows[0]["hidden_layers"]
    plain, deeper, noisy = (
        column(rows, "kl", **{**_PLAIN, "hidden_layers": layers, **changed})
        for changed in ({}, {"hidden_layers": layers + 1}, {"activation_noise": 0.1})
    )
    unit = f"nats; Monte Carlo {monte_carlo:.4g} nats"
    return [
        compare_pairs(f"{where}: {what} raises the estimate", plain, values, unit)
        for what, values in (("one more layer", deeper), ("activation noise", noisy))
    ]


def _measured(lab: Lab, metric: str, names: tuple[str, ...]) -> Rows:
    """One row per seed, from VAEs with a Gaussian posterior: of a metric, of the marginal KL and of
    what that has to be read beside."""
    rows = []
    for seed in lab.scale.seeds:
        run = lab.train("vae", seed=seed)
        values = lab.measure(run, "population_kl", metric, "marginal_kl")
        shown = (*names, "marginal_kl_floor", *INTERVAL)
        rows.append({"seed": seed, **{name: values[name] for name in shown}})
    return rows


def _below(rows: Rows, name: str, statement: str) -> Claim:
    """The claim that an estimate lies below that of Monte Carlo."""
    floor = mean_and_error(column(rows, "marginal_kl_floor")).value
    unit = f"nats, over a floor of {floor:.4g}"
    return compare_pairs(statement, column(rows, name), column(rows, "marginal_kl"), unit)


def _bars(rows: Rows, names: tuple[str, ...]) -> tuple[str, Any]:
    figure, (axis,) = panels(1, size=(2.0 + len(names), 3.4))
    values = {name: mean_and_error(column(rows, name)) for name in names}
    floor, lower, upper = (
        mean_and_error(column(rows, name)).value for name in ("marginal_kl_floor", *INTERVAL)
    )
    bars(axis, values, dict.fromkeys(names, floor), {"marginal_kl": (lower, upper)})
    legend_below(axis)
    axis.tick_params(axis="x", labelrotation=20)
    caption = (
        "Estimates of KL(q(z)||p(z)), nats: mean and standard error over seeds; the floor of "
        "Algorithm 2 in red, the interval of the population's KL in green."
    )
    return caption, figure
