"""The paper's experiments (Rosca et al. 2018; paper.md section 11): one file per group.

An experiment is a function of a `Lab`, which trains and measures, and returns an `Outcome`:
pictures, the data behind them and a verdict on each claim. Adding one: its function, and a line
here.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What an experiment is, without loading what it needs.

    Attributes:
        function: its dotted path, a function of a `zoo.paper.lab.Lab`.
        items: the figures and tables that it stands for.
        shows: what is seen there.
        cost: how long it takes on two CPU cores, by scale; shared runs count where they come first.
    """

    function: str
    items: str
    shows: str
    cost: Mapping[str, str]

    def load(self) -> Callable[[Any], Any]:
        """The function."""
        module, name = self.function.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


_GUESS = "not measured yet"

EXPERIMENTS = {
    "posteriors": Experiment(
        "zoo.paper.marginal.posteriors",
        "Figure 1",
        "marginal KL of VAEs with Gaussian and RealNVP posteriors",
        {"smoke": "15 s", "small": _GUESS, "paper": _GUESS},
    ),
    "likelihoods": Experiment(
        "zoo.paper.marginal.likelihoods",
        "Figure 22",
        "marginal KL, samples and reconstructions with Bernoulli and QuantizedNormal likelihoods",
        {"smoke": "15 s", "small": _GUESS, "paper": _GUESS},
    ),
}


def experiment(name: str) -> Experiment:
    """The experiment of that name; raises `UsageError` for an unknown one."""
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise UsageError(f"experiment={name!r} is not known: expected one of {known}, or all")
    return EXPERIMENTS[name]
