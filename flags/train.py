"""zoo-train: trains a model, or goes on with a run that was interrupted.

zoo-train --model=vae --dataset=color_mnist_mini --latent_size=50 --steps=1000 --run_dir=runs/vae
zoo-train --preset=color_mnist_mini/vae --run_dir=runs/vae
zoo-train --run_dir=runs/vae --steps=5000
zoo-train --from=color_mnist_mini/vae --dataset=array --data_dir=digits.npz --run_dir=runs/mine
zoo-train --preset=color_mnist/vae --sweep=latent_sizes --sweep=seed=0,1 --run_dir=runs/sweep

The same command again goes on where the run was, also after SIGTERM, SIGHUP (exit code 0) and
Ctrl-C, which end a training with a checkpoint of the step in progress; a second Ctrl-C does not
wait for that.
--run_dir alone goes on as well: what is not given is as the run's config.json has it, and what is
given and would make it another run is refused. --from begins a new run with the weights of a
trained model, one that comes with the zoo or a run of your own, which says what the model is.
Two exit codes of its own: 1 some runs of a sweep failed, 3 another worker of the run is gone: start
all of them again.
"""

from __future__ import annotations

import os
from typing import Any

from absl import flags

from zoo.config import DataConfig, ModelConfig, TrainingConfig
from zoo.errors import UsageError, expected_of
from zoo.files import user_path
from zoo.flags import listings, paths, program, sweep
from zoo.pretrained import as_run, names
from zoo.registry import INSTRUMENTS
from zoo.run import Run
from zoo.training.going_on import config_for
from zoo.training.rendezvous import check_own_port


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-train."""
    program.define_settings(values, ModelConfig, DataConfig, TrainingConfig)
    program.define_shared(values, "run_dir", "preset")
    help = "Begin with the weights of this pretrained model, its name or folder, or of a run."
    paths.define_path("from", None, help, flag_values=values)
    sweep.define(values)
    listings.define(values, "models", "presets", "datasets")


def main(values: flags.FlagValues) -> int | None:
    """Trains."""
    if listings.print_asked(values):
        return None
    start = values["from"].value
    if values.sweep:
        if start is not None:
            raise UsageError("--from does not go with --sweep")
        return sweep.run_sweep(values)
    program.exactly_one(values, "run_dir")
    begin = None if start is None else _begin(start)
    given = program.settings(values, given_only=True)
    if begin is not None:
        given = _settings_from(begin, given, Run.exists(values.run_dir))
    config = config_for(values.run_dir, given)
    check_own_port(config.training.strategy)
    program.start_tensorflow()
    from zoo.training.loop import train

    result = train(config, values.run_dir, begin=None if begin is None else begin.model)
    steps = config.training.steps
    if not result.chief:
        return None
    if result.first_step >= steps:
        print(f"{values.run_dir} is finished: {result.first_step} steps. Nothing to do.")
    elif result.last_step < steps:
        print(f"stopped at step {result.last_step} of {steps}; the same command goes on from there")
    else:
        last = result.run.history()[-1]
        figures = ", ".join(f"{k} {v:.6g}" for k, v in last.items() if k != "step")
        print(f"trained {values.run_dir} to step {steps}: {figures}")
    return None


def _begin(start: str) -> Run:
    """The run whose weights a new one begins with.

    Raises:
        UsageError: there is none, or it is of a classifier.
    """
    if not os.path.exists(user_path(start, "from")) and start not in names():
        raise UsageError(f"from={start!r} is not accepted: {expected_of(start, names())}")
    begin = as_run(start)
    if begin.config.model.model in INSTRUMENTS:
        raise UsageError(
            f"from={start!r} is a {begin.config.model.model}: expected a generative model"
        )
    return begin


def _settings_from(begin: Run, given: dict[str, Any], goes_on: bool) -> dict[str, Any]:
    """What is given, the model of a trained one, and, of a new run, its data where none are named.

    Raises:
        UsageError: another model is asked for.
    """
    model = vars(begin.config.model)
    for name in model.keys() & given.keys():
        if given[name] != model[name]:
            raise UsageError(
                f"{name}={given[name]!r} is not that of {begin.name}: expected {model[name]!r}, or "
                "nothing, since --from says what the model is"
            )
    data = {} if goes_on or "dataset" in given else vars(begin.config.data)
    return {**data, **given, "model": model["model"], **begin.config.model.chosen()}


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
