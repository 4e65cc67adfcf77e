"""What a run is to be, by what is said now and by what is there already."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config import RunConfig
from zoo.run import Run


def config_for(run_dir: str | Path, given: Mapping[str, Any]) -> RunConfig:
    """What a run at `run_dir` is to be: as given, and otherwise as the run that is there already,
    of no fewer steps than it has done.

    Nothing is taken of a run of another model or other data, which `Run.create_or_resume` refuses,
    nor how devices shared its work where another strategy is given.

    Args:
        run_dir: its folder, which need not exist.
        given: settings, as `RunConfig.create` takes them.

    Raises:
        UsageError: a setting is unknown or its value is not accepted, or the run is damaged.
    """
    if not Run.exists(run_dir):
        return RunConfig.create(**given)
    run = Run.open(run_dir)
    before = run.config.flat()
    if any(given.get(name, before[name]) != before[name] for name in ("model", "dataset")):
        return RunConfig.create(**given)
    if given.get("strategy", before["strategy"]) != before["strategy"]:
        before = {k: v for k, v in before.items() if k not in RunConfig.OF_STRATEGY}
    config = RunConfig.create(**{**before, **given})
    steps = max(config.training.steps, *run.checkpoints.steps(), 0)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))
