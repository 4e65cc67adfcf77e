"""The model and the images that a program is asked to work with, as several programs take them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from zoo.config import NEWEST, DataConfig
from zoo.errors import UsageError
from zoo.flags import program
from zoo.pretrained import open_pretrained
from zoo.run import Run

if TYPE_CHECKING:
    from zoo.data.images import ImageDataset
    from zoo.evaluation.subject.subject import Subject

RUNS = ("run_dir", "pretrained")  # flags that name a run
MODELS = (*RUNS, "saved_model")  # and those that name a trained model
_BESIDE = {"run_dir": "checkpoint", "saved_model": "trust"}  # what says more of one


def define(values: flags.FlagValues, names: Sequence[str] = MODELS) -> None:
    """Defines `RUNS` or `MODELS`, and what says more of them."""
    program.define_shared(values, *names, *(_BESIDE[name] for name in names if name in _BESIDE))


def run_of(values: flags.FlagValues) -> Run | None:
    """The run of `--run_dir`, at its `--checkpoint`, or of `--pretrained`, as far as a program has
    these flags; None where neither is given.

    Raises:
        UsageError: a checkpoint is asked for of something else than a run.
    """
    given = {n: values[n].value for n in ("run_dir", "checkpoint", "pretrained") if n in values}
    checkpoint = given.get("checkpoint", NEWEST)
    if given["run_dir"] is not None:
        return Run.open(given["run_dir"], checkpoint)
    if checkpoint != NEWEST:
        raise UsageError(f"checkpoint={checkpoint} applies to --run_dir only")
    name = given.get("pretrained")
    return None if name is None else open_pretrained(name)


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
    """The run's checkpoint, or the SavedModel of `--saved_model`; imports TensorFlow."""
    program.start_tensorflow()
    from zoo.evaluation.subject.subject import Subject

    if run is not None:
        return Subject.of_run(run)
    return Subject.of_saved_model(values.saved_model, values.trust)


def dataset_of(data: DataConfig | None, run: Run | None, subject: Subject) -> ImageDataset:
    """The images that the flags name, else those of the run; a folder's in the subject's size where
    the flags say none.

    Raises:
        UsageError: they are not of the subject's shape, or cannot be loaded.
    """
    from zoo.data import load_dataset

    if data is None:
        assert run is not None  # the programs have seen to one of the two
        dataset = run.dataset
    else:
        if data.dataset == "folder" and data.image_size is None:
            data = dataclasses.replace(data, image_size=subject.image_shape[0])
        dataset = load_dataset(data)
    subject.require_shape_of(dataset)
    return dataset
