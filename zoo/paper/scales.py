"""How large the experiments are: the paper's size, two for two CPU cores, one for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes that all experiments share. `paper` has the paper's where they survive; the rest, and
    all of the others, is chosen.

    Attributes:
        training: by data set, what its runs set: `steps`, updates of the decoder, and others of
            `zoo.config.RunConfig`, flat.
        width: multiplier of feature maps.
        batch_size: images per step.
        seeds: the run seeds of what is repeated.
        latent_sizes: of the study of many latents.
        code_critic_units: of the larger code critics there, beside the model's own.
        learning_rates: of the sweep behind the comparison of models, one for all networks; None for
            the grids of Table 3; empty for no sweep: each model over `seeds`.
        latent_size: of all other models; None for the data set's own.
        samples: prior samples or examples per metric.
        classifiers: settings of the classifier of each data set that has labels, where it is not
            the one that comes with the zoo.
        estimator_steps: updates of a network that an estimator trains.
        critic_steps: updates of the independent Wasserstein critic.
        problem_seeds: of the experiments whose truth is known, which train no model.
        dimensions: of the synthetic experiments.
        synthetic_steps: updates there.
        chain_images: test images whose rate-distortion curves are averaged.
        chain_steps: temperatures of their annealed chains.
        leaderboard_dimensions: of the problems with a known KL; even, or 1.
        leaderboard_steps: updates of a classifier there.
        leaderboard_maf_steps: updates of a flow there.
        posterior_pairs: of the study of posteriors, what a pair of runs sets beside this scale's
            sizes, over `seeds`; the latent sizes are the paper's.
        long_posterior_pairs: those of one seed.
        model_seeds: where models are compared, run seeds of those whose repeats differ most;
            `seeds` of the others.
        best_rates: of models that do better by one rate for all networks than by their own; that of
            the highest Inception Score in the sweep of a smaller scale.
        exceptions: by EXPERIMENT/DATASET, what is otherwise there.
    """

    name: str
    training: Mapping[str, Mapping[str, Any]]
    width: float
    batch_size: int
    seeds: tuple[int, ...]
    latent_sizes: tuple[int, ...]
    code_critic_units: tuple[int, ...]
    learning_rates: tuple[float, ...] | None
    latent_size: int | None
    samples: int
    classifiers: Mapping[str, Mapping[str, Any]]
    estimator_steps: int
    critic_steps: int
    problem_seeds: tuple[int, ...]
    dimensions: tuple[int, ...]
    synthetic_steps: int
    chain_images: int
    chain_steps: int
    leaderboard_dimensions: tuple[int, ...]
    leaderboard_steps: int
    leaderboard_maf_steps: int
    posterior_pairs: tuple[Mapping[str, Any], ...] = ({"latent_size": 10}, {}, {"latent_size": 75})
    long_posterior_pairs: tuple[Mapping[str, Any], ...] = ()
    model_seeds: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    best_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    exceptions: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that are trained on."""
        return tuple(self.training)

    def otherwise(self, experiment: str, dataset: str) -> Mapping[str, Any]:
        """What an experiment has otherwise on a data set."""
        return self.exceptions.get(f"{experiment}/{dataset}", {})

    def of(self, experiment: str, dataset: str) -> Scale:
        """This scale with what an experiment has otherwise on a data set."""
        return dataclasses.replace(self, **self.otherwise(experiment, dataset))


_SMALL = Scale(
    name="small",
    training={"color_mnist_mini": {"steps": 3000}},
    width=0.5,
    batch_size=64,
    seeds=(0, 1, 2),
    latent_sizes=(1000,),
    code_critic_units=(),  # the 5000 of [P] are 55 million weights
    learning_rates=(2e-4, 5e-4, 1e-3),
    latent_size=None,
    samples=10_000,
    classifiers={
        "color_mnist_mini": {"width": 0.25, "steps": 600, "decay_steps": 100},
    },
    estimator_steps=5000,
    critic_steps=2000,  # where the gap of a VAE's samples has come to rest
    problem_seeds=(0, 1, 2),
    dimensions=(1, 10, 100),
    synthetic_steps=20_000,
    chain_images=8,
    chain_steps=300,
    leaderboard_dimensions=(1, 10, 20),
    leaderboard_steps=1000,
    leaderboard_maf_steps=200,
)

# Of medium, claims that three seeds left open, most of them nearly decided.
_UNDECIDED_BY_THREE = (
    "classifier_sensitivity/blue_marble",
    "classifier_sensitivity/color_mnist_mini",
    "many_latents/color_mnist_mini",
    "posteriors/blue_marble",
    "samples/color_mnist_mini",
)

_FIVE_SEEDS = {"seeds": tuple(range(5))}

# Critics of larger images, three times as slow: after 500 steps the gaps of a VAE's and a VGH++'s
# samples are 0.87 and 0.88 of what they come to rest at.
_FEWER_CRITIC_STEPS = {"critic_steps": 500}

SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            training={"color_mnist_mini": {"steps": 4}},
            width=0.06,
            batch_size=8,
            seeds=(0, 1),
            latent_sizes=(5,),
            code_critic_units=(10,),
            learning_rates=(1e-3,),
            latent_size=3,
            samples=100,  # the fewest of the Inception Score
            classifiers={"color_mnist_mini": {"width": 0.06, "steps": 2, "batch_size": 8}},
            estimator_steps=4,
            critic_steps=2,
            problem_seeds=(0, 1),
            dimensions=(1, 2),
            synthetic_steps=4,
            chain_images=3,
            chain_steps=3,
            leaderboard_dimensions=(1, 2),
            leaderboard_steps=4,
            leaderboard_maf_steps=2,
            posterior_pairs=({},),
            long_posterior_pairs=({"latent_size": 2},),
        ),
        _SMALL,
        dataclasses.replace(
            _SMALL,
            name="medium",
            training={
                "color_mnist_mini": {"steps": 6000, "copies": 10},
                "blue_marble": {"steps": 6000},
            },
            learning_rates=(),
            best_rates=dict.fromkeys(("vae", "wgan_gp", "aae", "adversarial_vb"), 1e-3),
            classifiers={},
            problem_seeds=tuple(range(10)),
            exceptions={
                **dict.fromkeys(_UNDECIDED_BY_THREE, _FIVE_SEEDS),
                "posteriors/color_mnist_mini": {"seeds": tuple(range(7))},
                "samples/blue_marble": {"seeds": tuple(range(7))},
                "comparison/color_mnist_mini": {
                    **_FIVE_SEEDS,
                    "model_seeds": {"vgh_plus_plus": tuple(range(10))},
                },
                "comparison/blue_marble": {
                    **_FEWER_CRITIC_STEPS,
                    "model_seeds": {"aae": tuple(range(6)), "vgh_plus_plus": tuple(range(12))},
                },
                "many_latents/blue_marble": {**_FEWER_CRITIC_STEPS, "seeds": tuple(range(6))},
                "rate_distortion/blue_marble": {"chain_images": 144},
                # Of longer runs, one data set's are hours enough.
                "posterior_sizes/blue_marble": {"long_posterior_pairs": ()},
            },
            chain_images=16,
            long_posterior_pairs=(
                {"steps": 10_000, "width": 1.0},
                {"steps": 100_000, "width": 1.0},
            ),
        ),
        Scale(
            name="paper",
            training={
                "color_mnist": {"steps": 100_000},
                "celeb_a": {"steps": 200_000},
                "cifar10": {"steps": 200_000},
            },
            width=1.0,
            batch_size=64,
            seeds=tuple(range(10)),
            latent_sizes=(1000, 10_000),
            code_critic_units=(5000,),  # [P]
            learning_rates=None,
            latent_size=None,
            samples=100_000,
            classifiers={
                "color_mnist": {"batch_size": 128, "steps": 10_000, "decay_steps": 1000},
                "cifar10": {
                    "batch_size": 128,
                    "steps": 70_000,
                    "decay_steps": 7000,
                    "mirror": True,
                },
            },
            estimator_steps=100_000,
            critic_steps=50_000,
            problem_seeds=tuple(range(10)),
            dimensions=(1, 10, 100, 1000),
            synthetic_steps=1_000_000,
            chain_images=100,
            chain_steps=3000,
            leaderboard_dimensions=(1, 10, 20, 80),
            leaderboard_steps=5000,
            leaderboard_maf_steps=1000,
        ),
    )
}
