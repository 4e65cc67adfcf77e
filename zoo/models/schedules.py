"""Learning-rate schedules by name: Keras's own, from a few settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from zoo.config import SCHEDULES, TrainingConfig
from zoo.errors import UsageError
from zoo.models.optimizers import Rate, Schedule

SETTINGS = ("schedule", "decay_steps", "decay_rate", "end_factor")
CONSTANT: Mapping[str, Any] = {"schedule": "constant"}
DECAY_RATE = 0.5  # chosen


def resolve_schedule(training: TrainingConfig, own: Mapping[str, Any]) -> dict[str, Any]:
    """All of `SETTINGS`: as given, else as the model has its own, else by default.

    Args:
        training: what is given; None stands for nothing.
        own: the schedule of a model that is given none.

    Raises:
        UsageError: a setting does not apply to the schedule, one that it needs is missing, or the
            rate would be 0 before the last step.
    """
    name = training.schedule or own["schedule"]
    defaults = own if name == own["schedule"] else {}
    chosen: dict[str, Any] = {"schedule": name}
    for setting in SETTINGS[1:]:
        given = getattr(training, setting)
        if given is not None and setting not in SCHEDULES[name]:
            owners = [other for other, settings in SCHEDULES.items() if setting in settings]
            raise UsageError(
                f"{setting}={given:g} applies to schedule={' or '.join(owners)} only, not to {name}"
            )
        chosen[setting] = defaults.get(setting) if given is None else given
    by_default = {"decay_rate": DECAY_RATE, "end_factor": 0.0}
    if "end_factor" in SCHEDULES[name]:
        by_default["decay_steps"] = training.steps
    for setting in SCHEDULES[name]:
        if chosen[setting] is None and setting not in by_default:
            raise UsageError(
                f"schedule={name} needs {setting}, in which decay_rate applies once; none was given"
            )
        if chosen[setting] is None:
            chosen[setting] = by_default[setting]
    if chosen["end_factor"] == 0 and training.steps > chosen["decay_steps"]:
        raise UsageError(
            f"steps={training.steps} go beyond decay_steps={chosen['decay_steps']}, where a {name} "
            "schedule has brought the learning rate to 0: expected at most as many steps, or an "
            "end_factor above 0"
        )
    return chosen


def scheduled(rate: Rate, settings: Mapping[str, Any], updates: int = 1) -> Rate:
    """A rate as it changes with the step.

    Args:
        rate: of the first step; what is a schedule already stays one.
        settings: what `resolve_schedule` gives.
        updates: of the player in a step, each of which an optimiser counts.
    """
    name = settings["schedule"]
    if isinstance(rate, Schedule) or name == "constant":
        return rate
    schedules, steps = keras.optimizers.schedules, settings["decay_steps"] * updates
    if name == "linear":
        return schedules.PolynomialDecay(rate, steps, rate * settings["end_factor"])
    if name == "cosine":
        return schedules.CosineDecay(rate, steps, settings["end_factor"])
    return schedules.ExponentialDecay(rate, steps, settings["decay_rate"], name == "step")
