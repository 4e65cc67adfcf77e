"""The model and the images that a program is asked to work with, as several programs take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from zoo.config import DataConfig
from zoo.errors import UsageError
from zoo.flags import program
from zoo.run import Run

if TYPE_CHECKING:
    from zoo.evaluation.subject.subject import Subject


def run_of(values: flags.FlagValues) -> Run | None:
    """The run of `--run_dir`; None where that is not given."""
    return Run.open(values.run_dir) if values.run_dir is not None else None


def data_of(values: flags.FlagValues, run: Run | None) -> DataConfig | None:
    """The data set that the flags name, or that of the run from another place; None where they say
    nothing of it."""
    chosen = program.settings(values, DataConfig, given_only=True)
    if chosen and "dataset" not in chosen:
        if run is None:
            raise UsageError(f"{', '.join(chosen)}: of which data set? give --dataset")
        chosen = {**vars(run.config.data), **chosen}
    return DataConfig.create(**chosen) if chosen else None


def subject_of(values: flags.FlagValues, run: Run | None) -> Subject:
    """The run's newest checkpoint, or the SavedModel of `--saved_model`; imports TensorFlow."""
    program.start_tensorflow()
    from zoo.evaluation.subject.subject import Subject

    if run is not None:
        return Subject.of_run(run)
    return Subject.of_saved_model(values.saved_model, values.trust)
