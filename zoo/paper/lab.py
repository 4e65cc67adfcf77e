"""Where experiments work: what they train and find is made once, shared, and gone on with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import zoo
from zoo.config import EvaluationConfig
from zoo.evaluation.protocol import Picture
from zoo.evaluation.runner import evaluate, make_metric
from zoo.evaluation.samples.feature_extractors import default_feature_extractor
from zoo.evaluation.subject.subject import Subject
from zoo.files import read_json, write_json
from zoo.paper.scales import Scale
from zoo.records import Record
from zoo.run import Run
from zoo.training.going_on import config_for
from zoo.training.loop import train

T = TypeVar("T")


class Stopped(BaseException):
    """A SIGTERM or SIGHUP ended a training before its last step; the same experiment goes on with
    it. Like KeyboardInterrupt it is no failure of an experiment."""


class Lab:
    """Trains runs on one data set at one scale, and measures them.

    A run is called after its settings: two experiments that ask for the same one share it, and
    one that was interrupted goes on.

    Args:
        scale: the sizes.
        runs: folder of the run folders.
        dataset: one of the scale's; none for an experiment that trains no model.
        progress: told a line before each piece of work.
    """

    def __init__(
        self,
        scale: Scale,
        runs: Path,
        dataset: str = "",
        progress: Callable[[str], None] = print,
    ):
        self.scale, self.runs, self.dataset, self._progress = scale, runs, dataset, progress

    def train(self, model: str, **settings: Any) -> Run:
        """The finished run of these settings, of `zoo.config.RunConfig`, flat.

        Sizes that are not given are the scale's.
        """
        training = self.scale.training[self.dataset]
        steps = training["steps"]
        sizes = {
            "width": self.scale.width,
            "batch_size": self.scale.batch_size,
            "latent_size": self.scale.latent_size,
            "learning_rate": self.scale.best_rates.get(model, {}),
            "log_every": max(1, steps // 100),
            "checkpoint_every": max(1, steps // 4),
            **training,
        }
        return self._finished(_called(model, settings), model=model, **{**sizes, **settings})

    def once(self, what: str, find: Callable[[], T], **settings: Any) -> T:
        """What `find` returned, a JSON value, when it was first asked for under this name.

        Args:
            what: what it is, unlike a model's name.
            find: finds it.
            settings: all that it depends on, beside data set and scale's training.
        """
        file = self._folder / f"{_called(what, settings)}.json"
        if not file.exists():
            write_json(file, find())
        return read_json(file)

    def fit_prior(self, run: Run, prior: str) -> Run:
        """The run with a prior that is fitted to its codes (`zoo.fit_prior`)."""
        folder = run.path.with_name(f"{run.path.name},fitted={prior}")
        if (folder / "config.json").exists():
            return zoo.load_run(folder)
        self._progress(f"fitting {prior} to {run.path.name} ...")
        return zoo.fit_prior(run, prior, folder)

    @property
    def has_classes(self) -> bool:
        """Whether the data set has a classifier."""
        own = self.dataset in self.scale.classifiers
        return own or default_feature_extractor(self.dataset) is not None

    def classifier(self) -> str | None:
        """The data set's trained classifier, a path or the name of the one that comes with the zoo;
        None where it has no classes."""
        if self.dataset not in self.scale.classifiers:
            return default_feature_extractor(self.dataset)
        settings = {"model": "classifier", **self.scale.classifiers[self.dataset]}
        return str(self._finished("classifier", **settings).path)

    @property
    def _folder(self) -> Path:
        return self.runs / self.scale.name / self.dataset

    def _finished(self, name: str, **settings: Any) -> Run:
        folder = self._folder / name
        if (folder / "config.json").exists() and (run := zoo.load_run(folder)).is_finished:
            return run
        self._progress(f"training {name} on {self.dataset} ...")
        config = config_for(folder, {"dataset": self.dataset, **settings})
        run = train(config, folder).run
        if not run.is_finished:
            raise Stopped(f"stopped while training {name}; the same command goes on")
        return run

    def measure(self, run: Run, *metrics: str, **settings: Any) -> dict[str, float]:
        """The values that these metrics record, by record; the records are kept in the run folder.
        `settings` are those of an evaluation."""
        values: dict[str, float] = {}
        for metric in metrics:
            found = evaluate(
                self.subject(run.path),
                run.dataset,
                [metric],
                self._settings(metric, **settings),
                run.evaluation_file,
                self._progress,
            )
            values |= {record["metric"]: record["value"] for record in found}
        return values

    def show(self, run: Run, metric: str) -> tuple[dict[str, Record], dict[str, tuple[str, Any]]]:
        """The records of one metric by name, and its pictures, each with its caption; not kept."""
        self._progress(f"{metric} ...")
        chosen, subject, settings = (
            make_metric(metric),
            self.subject(run.path),
            self._settings(metric),
        )
        chosen.check(subject, run.dataset, settings)
        items = list(chosen.measure(subject, run.dataset, settings))
        records = {item.metric: item for item in items if isinstance(item, Record)}
        pictures = [item for item in items if isinstance(item, Picture)]
        return records, {p.name: (p.caption, p.content) for p in pictures}

    def _settings(self, metric: str, **settings: Any) -> EvaluationConfig:
        steps = self.scale.critic_steps if metric == "wasserstein_critic" else None
        sizes = {
            "num_samples": self.scale.samples,
            "train_steps": steps or self.scale.estimator_steps,
        }
        return EvaluationConfig(**{**sizes, **settings})

    @staticmethod
    @functools.lru_cache(maxsize=2)  # of all labs: the next experiment asks for the same run
    def subject(path: Path) -> Subject:
        """The run at `path` behind its signatures."""
        return Subject.of_run(zoo.load_run(path))


def _called(what: str, settings: Mapping[str, Any]) -> str:
    return ",".join([what, *(f"{k}={v}" for k, v in sorted(settings.items()))])
