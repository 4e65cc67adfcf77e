"""A run folder: what is in it, who may write to it, and how to load what it holds.

run_dir/config.json       all that is needed to rebuild the model and the data
        networks.json     those of one's own, where the model has such
        checkpoints/      the newest several, and the best one
        metrics.jsonl     one line per log step; tensorboard/ has the same and the image grids
        images/           samples and reconstructions, a fixed noise through time
        encodings.npz     posterior parameters for one checkpoint, reused by the estimators
        evaluation.json   every metric with its definition; evaluation/ has the pictures
        report.html       one self-contained page
        prior.json        of which run, and how well it fits, where a prior was fitted to codes
        data/             the images, where the program that trained had them at hand
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.config import BEST, NEWEST, DataConfig, RunConfig
from zoo.errors import UsageError, expected_of
from zoo.files import (
    ROOM,
    atomic_file,
    check_length,
    parse_json,
    read_bytes,
    read_json,
    reported,
    usable_path,
    user_path,
    write_json,
)
from zoo.formats import FORMAT_VERSION, OWN_DATA, current_config, with_own_paths, with_whole_paths
from zoo.partial import remove_partial
from zoo.records import read_evaluation
from zoo.versions import versions

if TYPE_CHECKING:
    from zoo.checkpoints import CheckpointStore
    from zoo.data.images import ImageDataset
    from zoo.models.base import PlayerModel

CARD = "model_card.json"  # what tells a pretrained model from a run that may go on
VALIDATION = "validation_"  # before the name of a metric: its value on that split
_FOLDERS = ("", "checkpoints", "images", "evaluation", OWN_DATA)  # where files of a run are written


class Run:
    """One run folder.

    Args:
        path: the folder; `create` makes a new one, `open` demands an existing one.
        config: what it is.
        data_fingerprint: of its data.
        image_shape: `(H, W, C)`.
        class_names: of the data's labels, where their source tells them.
        checkpoint: "newest", or "best", of `keep_best`: whose weights `model` has.
    """

    def __init__(
        self,
        path: str | Path,
        config: RunConfig,
        data_fingerprint: str,
        image_shape: tuple[int, int, int],
        class_names: Sequence[str] | None = None,
        checkpoint: str = NEWEST,
    ):
        if checkpoint not in (NEWEST, BEST):
            raise UsageError(
                f"checkpoint={checkpoint!r} is not known: {expected_of(checkpoint, (NEWEST, BEST))}"
            )
        self.path = user_path(path, "run_dir")
        self.config = config
        self.data_fingerprint = data_fingerprint
        self.image_shape = image_shape
        self.class_names = None if class_names is None else tuple(class_names)
        self.checkpoint = checkpoint

    @functools.cached_property
    def is_pretrained(self) -> bool:
        """Whether it is a pretrained model, which nothing is written to; see `zoo.pretrained`."""
        return (self.path / CARD).is_file()

    @property
    def name(self) -> str:
        """How records call it: its folder, and which checkpoint where it is not the newest; of a
        pretrained model, its own name."""
        if not self.is_pretrained:
            folder = str(self.path.resolve())
            return folder if self.checkpoint == NEWEST else f"{folder} ({self.checkpoint})"
        from zoo.pretrained import card_of

        return f"pretrained {card_of(self.path)['name']}"

    @property
    def encodings_file(self) -> Path | None:
        """Where the encodings of its data are kept; None where nothing may be."""
        return None if self.is_pretrained else self.path / "encodings.npz"

    @property
    def evaluation_file(self) -> Path:
        """Where its records are kept unless another place is named.

        Raises:
            UsageError: nothing may be kept in its folder.
        """
        if self.is_pretrained:
            raise UsageError("a pretrained model needs --output: nothing is written to its folder")
        return self.path / "evaluation.json"

    def __repr__(self) -> str:
        name, data = self.config.model.model, self.config.data.dataset
        step, steps = self.checkpoints.newest(), self.config.training.steps
        return f"<Run {str(self.path)!r}: {name} on {data}, step {step} of {steps}>"

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether there is a run at `path`."""
        return os.path.exists(usable_path(path, "run_dir") / "config.json")

    @classmethod
    def open(cls, path: str | Path, checkpoint: str = NEWEST) -> Run:
        """An existing run, without what killed programs left in its folder.

        Args:
            path: the folder.
            checkpoint: whose weights `model` has, "newest" or "best".

        Raises:
            UsageError: there is none, or its config.json is damaged.
        """
        path = usable_path(path, "run_dir")
        file = path / "config.json"
        if not os.path.exists(file):  # False, and no error, for a name that is too long
            raise UsageError(f"{path} is not a run folder: it has no config.json")
        content = read_json(file)
        try:
            content = with_whole_paths(current_config(content, file), path)
            config = RunConfig.from_json(content)
            fingerprint, shape = content["data_fingerprint"], content["image_shape"]
            classes = content.get("class_names")
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{file} is not the config of a run: {error!r}") from None
        except UsageError as error:
            raise UsageError(f"{file} is not the config of a run: {error}") from None
        if not isinstance(fingerprint, str):
            raise UsageError(f"{file}: data_fingerprint={fingerprint!r}: expected a text")
        if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)):
            raise UsageError(f"{file}: image_shape={shape!r}: expected [height, width, channels]")
        if classes is not None and not (
            isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        ):
            raise UsageError(f"{file}: class_names={classes!r}: expected a list of texts")
        for name in _FOLDERS:
            remove_partial(path / name)
        return cls(path, config, fingerprint, tuple(shape), classes, checkpoint)

    @staticmethod
    def check_folder(path: str | Path) -> Path:
        """`path`, if it is or may become a run folder; nothing is written.

        Raises:
            UsageError: it holds things that are no run, or its name is too long.
        """
        path = check_length(usable_path(path, "run_dir"), ROOM)
        if os.path.exists(path) and not path.is_dir():
            raise UsageError(f"{path} is a file: expected a new folder or a run folder")
        foreign = path.is_dir() and not (path / "config.json").exists()
        if foreign and any(not f.name.startswith(".") for f in path.iterdir()):
            raise UsageError(f"{path} is not empty and is no run folder: expected a new folder")
        return path

    @classmethod
    def create_or_resume(
        cls,
        path: str | Path,
        config: RunConfig,
        data_fingerprint: str,
        image_shape: tuple[int, int, int],
        is_same: Callable[[str], bool] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Run:
        """The run at `path`, made if there is none.

        Args:
            path: the folder.
            config: what the run is to be.
            data_fingerprint: of its data.
            image_shape: `(H, W, C)`.
            is_same: whether the fingerprint that a run there has is of the same data; equality by
                default.
            class_names: of the data's labels, or None.

        Raises:
            UsageError: the folder holds another run, or other data, or things that are no run.
        """
        path = cls.check_folder(path)
        run = cls(path, config, data_fingerprint, image_shape, class_names)
        if (path / "config.json").exists():
            before = cls.open(path)
            if before.is_pretrained:
                raise UsageError(
                    f"{path} is a pretrained model, which does not go on: expected a new folder"
                )
            differences = before._complete_config().differences(run._complete_config())
            same = is_same or data_fingerprint.__eq__
            if not same(before.data_fingerprint):
                differences.append(f"data: {before.data_fingerprint} -> {data_fingerprint}")
            if differences:
                raise UsageError(f"{path} holds another run: {'; '.join(differences)}")
        run._write_config()
        return run

    def _complete_config(self) -> RunConfig:
        """Its configuration with the model's own defaults, those of settings too that the zoo that
        wrote it did not have."""
        from zoo.models import model_class, own_networks
        from zoo.networks import kept

        model = self.config.model
        own = own_networks(model, kept.read(self.path))
        complete = model_class(model.model).resolve(model, self.image_shape, own)
        return dataclasses.replace(self.config, model=complete)

    def _write_config(self) -> None:
        write_json(
            self.path / "config.json",
            {
                "format_version": FORMAT_VERSION,
                **with_own_paths(self.config.to_json(), self.path),
                "image_shape": list(self.image_shape),
                "data_fingerprint": self.data_fingerprint,
                **({} if self.class_names is None else {"class_names": list(self.class_names)}),
                "versions": versions(),
            },
        )

    # ---- What it holds -------------------------------------------------------------------------

    @functools.cached_property
    def checkpoints(self) -> CheckpointStore:
        """The store of its checkpoints."""
        from zoo.checkpoints import CheckpointStore

        return CheckpointStore(self.path / "checkpoints")

    @property
    def is_finished(self) -> bool:
        """Whether it has a checkpoint of its last step."""
        return self.checkpoints.newest() >= self.config.training.steps

    @functools.cached_property
    def model(self) -> PlayerModel:
        """The model with the weights of the newest sound checkpoint, or of the best one; averaged
        ones where the run keeps such.

        Raises:
            UsageError: there is no such checkpoint.
        """
        from zoo.models import build_model
        from zoo.networks import kept

        missing = UsageError(f"{self.path} has no checkpoint yet: train it first")
        if self.checkpoint == NEWEST and not self.checkpoints.newest():
            raise missing  # before a network is built
        training, networks = self.config.training, kept.read(self.path)
        how = training.seed, training.dtype_policy, networks
        model = build_model(self.config.model, self.image_shape, *how)
        if self.checkpoint == BEST:
            self.checkpoints.restore_best(model)
        elif not self.checkpoints.restore(model):
            raise missing
        return model

    @functools.cached_property
    def dataset(self) -> ImageDataset:
        """The images it was trained on.

        Raises:
            UsageError: they are not what they were.
        """
        from zoo.data import load_dataset

        dataset = load_dataset(self.config.data)
        if not dataset.is_of(self.data_fingerprint):
            raise UsageError(
                f"the data of {self.path} have changed: fingerprint {dataset.fingerprint}, "
                f"expected {self.data_fingerprint}"
            )
        return dataset

    @staticmethod
    def with_own_data(config: RunConfig, run_dir: str | Path) -> RunConfig:
        """`config` of a run whose images `keep_data` will write into its folder."""
        place = usable_path(run_dir, "run_dir") / OWN_DATA
        data = DataConfig(dataset="array", data_dir=str(place.absolute()))
        return dataclasses.replace(config, data=data)

    @property
    def has_own_data(self) -> bool:
        """Whether its images lie in its folder."""
        return self.with_own_data(self.config, self.path).data == self.config.data

    def keep_data(self, dataset: Any) -> None:
        """Writes the images of an `ImageDataset` into the folder, unless they are there."""
        from zoo.data import given

        given.write(dataset, self.path / OWN_DATA)

    # ---- Metrics -------------------------------------------------------------------------------

    @property
    def metrics_file(self) -> Path:
        """One JSON object per log step."""
        return self.path / "metrics.jsonl"

    def history(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, one per step; a last line cut short by a kill is left out.

        Raises:
            UsageError: another line is not one of metrics.
        """
        if not self.metrics_file.exists():
            return []
        *whole, _ = read_bytes(self.metrics_file).split(b"\n")
        steps: dict[int, dict[str, Any]] = {}
        for number, text in enumerate(whole, 1):
            try:
                line = parse_json(text.decode())
            except (ValueError, RecursionError):
                line = None
            if not _is_metrics(line):
                raise UsageError(
                    f"{self.metrics_file} is damaged: line {number} is not a line of metrics; "
                    "remove that line, or the file"
                )
            steps.setdefault(line["step"], {}).update(line)
        return list(steps.values())

    def forget_metrics_after(self, step: int) -> None:
        """Drops the lines of steps that a resume will do again."""
        kept = [line for line in self.history() if line["step"] <= step]
        with atomic_file(self.metrics_file) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def log(self, line: dict[str, Any]) -> None:
        """Appends a line to `metrics.jsonl`; raises `UsageError` where that is impossible."""
        with reported(self.metrics_file), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def evaluation(self) -> dict[str, list[dict[str, Any]]]:
        """The `records` and `pictures` of `evaluation.json`; none where there is none yet."""
        return read_evaluation(self.path / "evaluation.json")


def _is_metrics(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("step"), int)
        and all(isinstance(value, (int, float)) for value in line.values())
    )


def load_run(run_dir: str | Path, checkpoint: str = NEWEST) -> Run:
    """The run at `run_dir`, with `.model`, `.dataset`, `.config` and `.history()`.

    Args:
        run_dir: its folder.
        checkpoint: whose weights `.model` has: "newest", or "best", of a run with `keep_best`.

    Raises:
        UsageError: it is no run folder.
    """
    return Run.open(run_dir, checkpoint)
