"""What `import zoo` offers: thin doors to the functions that the programs call."""

from __future__ import annotations

import numbers
import os
import signal
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np

    from zoo.config import RunConfig
    from zoo.data.images import ImageDataset
    from zoo.evaluation.subject.subject import Subject
    from zoo.models.inference import GenerativeModel
    from zoo.run import Run
    from zoo.settings import Checked


def create_model(model: str, **settings: Any) -> Any:
    """A new, untrained model: what its class, as `zoo.VAE`, makes of these settings.

    Args:
        model: its name, one of `MODELS`.
        **settings: `dataset` or `image_shape`, `seed`, `dtype_policy` and those of
            `zoo.config.ModelConfig`; see `zoo.models.base.PlayerModel`.

    Raises:
        UsageError: a setting is unknown or does not apply to the model.
    """
    from zoo.models import model_class

    return model_class(model)(**settings)


def load_model(filepath: str | Path, **arguments: Any) -> Any:
    """`keras.models.load_model` of a `.keras` file that a model of the zoo was saved to.

    Keras's own function knows the zoo's classes only in a process that has used one before.

    Args:
        filepath: the file.
        **arguments: as Keras's.

    Raises:
        UsageError: there is no such file, or Keras cannot read it.
    """
    import keras

    from zoo.errors import UsageError, reason
    from zoo.files import user_path
    from zoo.registry import INSTRUMENTS, MODELS, follow

    for path in (MODELS | INSTRUMENTS).values():
        follow(path)  # which registers the class
    file = user_path(filepath, "filepath")
    if not file.is_file():
        raise UsageError(f"filepath={str(file)!r} is no file: expected what model.save wrote")
    if not zipfile.is_zipfile(file):
        raise UsageError(f"{file} cannot be loaded: it is no .keras file, which is a zip archive")
    try:
        return keras.models.load_model(file, **arguments)
    except (ValueError, OSError) as error:
        raise UsageError(f"{file} cannot be loaded: {reason(error)}") from error


def train(
    run_dir: str | Path,
    *,
    images: Any = None,
    labels: Any = None,
    callbacks: Sequence[Any] = (),
    model: str | GenerativeModel | None = None,
    encoder: keras.Model | None = None,
    decoder: keras.Model | None = None,
    image_critic: keras.Model | None = None,
    **settings: Any,
) -> Run:
    """Trains a run, or goes on with it, and returns it.

    Args:
        run_dir: its folder.
        images: what to train on in the place of `dataset`: an array or a `tf.data.Dataset` of uint8
            or of floats in [0, 1], an `ImageDataset`, or the path of an array or of a folder. All
            but what a path names is written into the run folder, where the run finds it again.
        labels: classes `[N]` of an array.
        callbacks: Keras callbacks, called at every step; see `zoo.training.loop.train`.
        model: the name of one, or a generative model, of which a copy is trained: a new run goes on
            from its weights.
        encoder: a Keras model of one's own, as `zoo.VAE` takes it; the run keeps what it is.
        decoder: likewise.
        image_critic: likewise.
        **settings: of `zoo.config.RunConfig`, flat: `model="vae", steps=1000`. Those that are not
            given are as the run has them where there is one, so that `steps=2000` alone goes on.

    After SIGTERM or SIGHUP the run gets a checkpoint of the step in progress, and then the program
    its signal, which by default ends it.

    Raises:
        UsageError: see `zoo.training.loop.train` and `zoo.data.given.dataset_of`.
    """
    from zoo.config import DataConfig, ModelConfig
    from zoo.data import given
    from zoo.errors import UsageError
    from zoo.training.going_on import config_for
    from zoo.training.loop import train as train_run

    parts = {"encoder": encoder, "decoder": decoder, "image_critic": image_critic}
    networks = {part: network for part, network in parts.items() if network is not None}
    begin = None if model is None or isinstance(model, str) else model
    if begin is None:
        settings |= {} if model is None else {"model": model}
    else:
        _refuse_settings(settings | networks, ModelConfig, "a model that is given")
        settings = {**_settings_of(begin), **settings}
    if images is None or isinstance(images, (str, os.PathLike)):
        if labels is not None and images is None:
            raise UsageError("labels are of images, and none were given")
        if labels is not None:
            raise UsageError("labels are of an array: expected them beside, or in, the files")
        if images is not None:
            settings = {**vars(given.config_of(images)), **settings}
        config, dataset = config_for(run_dir, settings), None
    else:
        _refuse_settings(settings, DataConfig, "images that are given")
        config, dataset = config_for(run_dir, settings), given.dataset_of(images, labels)
    if networks:
        begin = _with_networks(config, dataset, networks)
    result = train_run(config, run_dir, callbacks, dataset, begin)
    if result.signal is not None:
        signal.raise_signal(result.signal)  # to whom the program has it handled by
    return result.run


def _refuse_settings(settings: Mapping[str, Any], section: type[Checked], of: str) -> None:
    """Raises `UsageError` where something is said of what is given itself."""
    from zoo.errors import UsageError
    from zoo.networks.own import PARTS

    for name in (*section.__dataclass_fields__, *PARTS):
        if name in settings:
            raise UsageError(f"{name}={settings[name]!r} does not apply to {of}")


def _settings_of(model: Any) -> dict[str, Any]:
    """What a run of a model is to be, as far as the model says it."""
    from zoo.errors import UsageError
    from zoo.models.inference import GenerativeModel

    if not isinstance(model, GenerativeModel):
        raise UsageError(
            f"model is a {type(model).__name__}: expected a name, as vae, or a generative model of "
            "the zoo, as zoo.VAE(...)"
        )
    seed, policy = model.initial_seed, model.dtype_policy.name
    name = {"model": model.config.model, "seed": seed, "dtype_policy": policy}
    return {**name, **model.config.chosen()}


def _with_networks(
    config: RunConfig, dataset: ImageDataset | None, networks: Mapping[str, Any]
) -> Any:
    """The model of a configuration with networks of one's own."""
    from zoo.data import load_dataset
    from zoo.models import build_model

    shape = (load_dataset(config.data) if dataset is None else dataset).image_shape
    training = config.training
    return build_model(config.model, shape, training.seed, training.dtype_policy, networks)


def load_dataset(dataset: str, **settings: Any) -> ImageDataset:
    """The images of that name, in splits.

    Args:
        dataset: one of `DATASETS`.
        **settings: of `zoo.config.DataConfig`.

    Raises:
        UsageError: the data are missing, damaged or too few; one line names the remedy.
    """
    from zoo.config import DataConfig
    from zoo.data import load_dataset as load

    return load(DataConfig.create(dataset=dataset, **settings))


def evaluate(
    source: Run | str | Path | None = None,
    metrics: str | Sequence[str] = "all",
    *,
    samples: np.ndarray | str | Path | None = None,
    dataset: ImageDataset | np.ndarray | str | None = None,
    output: str | Path | None = None,
    trust: bool = False,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Measures a run, a SavedModel or images that another program made, and keeps the records in a
    file.

    Args:
        source: a run, its folder, a pretrained model's name, or the version folder of a SavedModel.
        metrics: names of metrics, in a list or with commas between, or "all" for all that apply.
        samples: in the place of `source`, images of another program: an array `[N, H, W, C]`, uint8
            or floats in [0, 1], or what `zoo-evaluate --samples` takes: a folder of image files, an
            .npz with `images`, or an .npy.
        dataset: the images, as an `ImageDataset` or an array, or the name of a data set; those of
            the run by default.
        output: a JSON file; `evaluation.json` of the run folder by default.
        trust: load a SavedModel whatever its operations may do.
        **settings: of `zoo.config.EvaluationConfig`.

    Returns:
        The records of these metrics, as they stand in the file.

    Raises:
        UsageError: a setting or a metric is unknown, a metric does not apply, or a SavedModel or
            samples are given without `dataset` and `output`.
    """
    from zoo.config import EvaluationConfig
    from zoo.data.given import dataset_of
    from zoo.errors import UsageError
    from zoo.evaluation.runner import evaluate as measure

    config = EvaluationConfig.create(**settings)
    if (source is None) == (samples is None):
        raise UsageError("expected one of source and samples: what is to be measured")
    if isinstance(dataset, str):
        dataset = load_dataset(dataset)
    elif dataset is not None:
        dataset = dataset_of(dataset)
    if source is None:
        if dataset is None or output is None:
            raise UsageError("samples need dataset and output: what to compare with, a JSON file")
        subject, run = _given_samples(samples, dataset), None
    else:
        subject, run = _subject(source, trust)
    if run is not None:
        dataset = run.dataset if dataset is None else dataset
        output = run.evaluation_file if output is None else output
    if dataset is None or output is None:
        raise UsageError("a SavedModel needs dataset and output; a run knows its own")
    subject.require_shape_of(dataset)
    names = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    if not names:
        raise UsageError("metrics=[] is not accepted: expected names, or 'all'")
    return measure(subject, dataset, names, config, Path(output))


def _given_samples(samples: Any, dataset: ImageDataset) -> Subject:
    """Images that are at hand, or lie at a path."""
    import numpy as np

    from zoo.evaluation.subject.samples import GivenSamples

    if isinstance(samples, (str, os.PathLike)):
        return GivenSamples.read(Path(samples), dataset.image_shape)
    return GivenSamples("samples", np.asarray(samples))


def sample(
    source: Run | str | Path, count: int = 64, seed: int = 0, *, trust: bool = False
) -> dict[str, np.ndarray]:
    """Draws `images [N, H, W, C]` and their codes `z [N, D]` from a run or a SavedModel.

    Args:
        source: a run, its folder, a pretrained model's name, or the version folder of a SavedModel.
        count: N.
        seed: sample i depends on (seed, i) alone.
        trust: load a SavedModel whatever its operations may do.

    Raises:
        UsageError: `source` is neither, `count` is no positive whole number, or `seed` is none.
    """
    from zoo.errors import UsageError
    from zoo.settings import check_seed

    if not isinstance(count, numbers.Integral) or count < 1:
        raise UsageError(f"count={count!r} is not accepted: expected a positive whole number")
    seed = check_seed(seed)
    subject, _ = _subject(source, trust)
    return subject.all("sample", seed=seed, count=int(count))


def fit_prior(
    run: Run | str | Path, prior: str, output_dir: str | Path, seed: int = 0, steps: int = 2000
) -> Run:
    """Fits a prior to the codes of a run, and returns a new run that draws from it.

    Args:
        run: the run, its folder, or a pretrained model's name.
        prior: one of `zoo.registry.EX_POST_PRIORS`.
        output_dir: the new folder.
        seed: of codes and fit.
        steps: updates of a flow; mixtures have none.

    Raises:
        UsageError: see `zoo.training.ex_post.fit_prior`.
    """
    from zoo.pretrained import as_run
    from zoo.training.ex_post import fit_prior as fit

    return fit(as_run(run), prior, output_dir, seed, steps)[0]


def _subject(source: Run | str | Path, trust: bool) -> tuple[Subject, Run | None]:
    """What is measured, and the run that it is of, if it is of one."""
    from zoo.evaluation.subject.subject import Subject
    from zoo.files import user_path
    from zoo.pretrained import as_run
    from zoo.run import Run

    if not isinstance(source, Run):
        folder = user_path(source, "source")
        if (folder / "saved_model.pb").is_file():
            return Subject.of_saved_model(folder, trust), None
    run = as_run(source)
    return Subject.of_run(run), run
