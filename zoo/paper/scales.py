"""How large the experiments are: the paper's size, one for two CPU cores, one for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes that all experiments share. `paper` has the paper's where they survive; the rest, and
    all of `small` and `smoke`, is chosen.

    Attributes:
        steps: updates of the decoder, by data set.
        width: multiplier of feature maps.
        batch_size: images per step.
        seeds: the run seeds of what is repeated.
        latent_sizes: of the study of many latents.
        code_critic_units: of the larger code critics there, beside the model's own.
        learning_rates: of the sweep behind the comparison of models, one for all networks; None for
            the grids of Table 3.
        latent_size: of all other models; None for the data set's own.
        samples: prior samples or examples per metric.
        classifiers: settings of the classifier of each data set that has labels.
        estimator_steps: updates of a network that an estimator trains.
        critic_steps: updates of the independent Wasserstein critic.
        dimensions: of the synthetic experiments.
        synthetic_steps: updates there.
        chain_images: test images whose rate-distortion curves are averaged.
        chain_steps: temperatures of their annealed chains.
        leaderboard_dimensions: of the problems with a known KL; even, or 1.
        leaderboard_steps: updates of a classifier there.
        leaderboard_maf_steps: updates of a flow there.
    """

    name: str
    steps: Mapping[str, int]
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
    dimensions: tuple[int, ...]
    synthetic_steps: int
    chain_images: int
    chain_steps: int
    leaderboard_dimensions: tuple[int, ...]
    leaderboard_steps: int
    leaderboard_maf_steps: int

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that are trained on."""
        return tuple(self.steps)


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            steps={"color_mnist_mini": 4},
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
            dimensions=(1, 2),
            synthetic_steps=4,
            chain_images=3,
            chain_steps=3,
            leaderboard_dimensions=(1, 2),
            leaderboard_steps=4,
            leaderboard_maf_steps=2,
        ),
        Scale(
            name="small",
            steps={"color_mnist_mini": 3000},
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
            dimensions=(1, 10, 100),
            synthetic_steps=20_000,
            chain_images=8,
            chain_steps=300,
            leaderboard_dimensions=(1, 10, 20),
            leaderboard_steps=1000,
            leaderboard_maf_steps=200,
        ),
        Scale(
            name="paper",
            steps={"color_mnist": 100_000, "celeb_a": 200_000, "cifar10": 200_000},
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
