"""The configuration of a run: frozen dataclasses, their validation, JSON in and out.

This module imports nothing heavy, so that the programs can define and check their flags
(which are generated from these fields) without loading TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from zoo.errors import UsageError, unknown_setting
from zoo.options import Declared, declares
from zoo.registry import (
    DATASETS,
    EX_POST_PRIORS,
    INSTRUMENTS,
    LIKELIHOODS,
    METRICS,
    MODELS,
    NETWORKS,
    POSTERIORS,
    PRIORS,
    source_of,
)
from zoo.settings import LARGEST_FLOAT, Checked, setting

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")
SPLITS = ("train", "validation", "test")
NEWEST, BEST = "newest", "best"  # which checkpoint of a run is loaded
DTYPE_POLICIES = ("float32", "mixed_bfloat16")
# How a learning rate changes with the step, and the settings that say more of it.
SCHEDULES = {
    "constant": (),
    "linear": ("decay_steps", "end_factor"),
    "cosine": ("decay_steps", "end_factor"),
    "exponential": ("decay_steps", "decay_rate"),
    "step": ("decay_steps", "decay_rate"),
}


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """Which images, from where."""

    dataset: str = setting("color_mnist_mini", "Data set.", choices=tuple(DATASETS))
    data_dir: str | None = setting(
        None,
        "Where the data lie: a folder of images (folder, fluent_emoji), of aligned images or their "
        "zip (celeb_a), a .npy or .npz file or a folder of .npy files (array), a folder of idx "
        "files (idx, fashion_mnist), otherwise the TensorFlow Datasets directory.",
        path=True,
    )
    image_size: int | None = setting(
        None, "Side of the images in pixels, 64 by default.", at_least=16, at_most=256
    )
    channels: int | None = setting(
        None,
        "Channels of the images: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.",
        above=0,
        at_most=4,
    )
    skip_broken: bool = setting(
        False, "Leave out and count the images of a folder that cannot be decoded."
    )
    copies: int = setting(
        1,
        "Colours in which each training digit comes, for --dataset=color_mnist_mini.",
        above=0,
        at_most=1000,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        source = source_of(self.dataset)
        if source.data_dir == "needed" and self.data_dir is None:
            raise UsageError(
                f"dataset={self.dataset} needs data_dir, the place of its images; none was given"
            )
        if source.data_dir == "unused" and self.data_dir is not None:
            raise UsageError(
                f"data_dir={self.data_dir} does not apply to {self.dataset}, whose images come "
                "with a package: leave it out, or choose another data set (--dataset=folder for "
                "images)"
            )
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in ("dataset", "data_dir", *source.settings) or value == field.default:
                continue
            owners = [owner for owner, other in DATASETS.items() if name in other.settings]
            raise UsageError(
                f"{name}={value} applies to dataset={' or '.join(owners)} only, not to "
                f"{self.dataset}"
            )


@dataclasses.dataclass(frozen=True)
@declares(MODELS, INSTRUMENTS, LIKELIHOODS, POSTERIORS, PRIORS)
class ModelConfig(Declared):
    """Which model; None stands for the model's own default.

    Beside these fields it has one per option that a model, a likelihood, a posterior or a prior
    declares. An option given to a model without it is refused.
    """

    model: str = setting("vae", "Name of the model; --list_models prints them all.")
    likelihood: str | None = setting(
        None, "Visible distribution p(x|z).", choices=tuple(LIKELIHOODS)
    )
    posterior: str | None = setting(None, "Form of q(z|x).", choices=tuple(POSTERIORS))
    prior: str | None = setting(
        None,
        f"Form of p(z); {', '.join(EX_POST_PRIORS)} are fitted to a run by zoo-fit-prior.",
        choices=(*PRIORS, *EX_POST_PRIORS),
    )
    network: str | None = setting(
        None,
        "Family of networks; that for the size of the images by default.",
        choices=tuple(NETWORKS),
    )
    latent_size: int | None = setting(
        None,
        "Dimensions of z; the network family's number by default.",
        above=0,
        at_most=65_536,
    )
    width: float = setting(
        1.0, "Multiplier of all feature maps; 1 is the paper's.", above=0, at_most=64
    )

    def chosen(self) -> dict[str, Any]:
        """What is set beside the name of the model, as its class takes it."""
        return {k: v for k, v in vars(self).items() if k != "model" and v is not None}


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Checked):
    """How it is trained."""

    steps: int = setting(1000, "Updates of the decoder.", above=0)
    batch_size: int = setting(64, "Images per step over all replicas.", above=0, at_most=65_536)
    learning_rate: dict = setting(
        {}, "Learning rate: one number, or one per player as encoder=5e-4,code_critic=2e-4."
    )
    schedule: str | None = setting(
        None,
        "How the learning rate changes with the step: constant by default; the classifier's is "
        "exponential.",
        choices=tuple(SCHEDULES),
    )
    decay_steps: int | None = setting(
        None,
        "Steps to the end of a linear or cosine schedule, all of the run by default; or in which "
        "decay_rate applies once.",
        above=0,
    )
    decay_rate: float | None = setting(
        None,
        "Factor of the rate in decay_steps, 0.5 by default, for an exponential schedule, or one in "
        "steps.",
        above=0,
        at_most=1,
    )
    end_factor: float | None = setting(
        None,
        "Share of the rate that a linear or cosine schedule ends with, 0 by default.",
        at_least=0,
        at_most=1,
    )
    clip_norm: float | None = setting(
        None, "Largest global norm of a player's gradient; longer ones are scaled down.", above=0
    )
    ema_decay: float = setting(
        0.0,
        "Decay of an exponential moving average of the weights, which samples, exports and "
        "evaluation then use; 0 for none.",
        at_least=0,
        at_most=0.999999,
    )
    seed: int = setting(
        0, "The run seed: weights, noise and data order follow from it.", at_least=0
    )
    strategy: str = setting("auto", "How devices share the work.", choices=STRATEGIES)
    cpu_devices: int | None = setting(
        None, "Logical CPU devices for --strategy=mirrored, in the place of GPUs.", above=0
    )
    dtype_policy: str = setting("float32", "Keras dtype policy.", choices=DTYPE_POLICIES)
    jit_compile: bool = setting(False, "Compile the train step with XLA; one replica only.")
    steps_per_execution: int = setting(
        1, "Steps per call of the compiled function; one replica only.", above=0
    )
    log_every: int = setting(100, "Steps between two lines of metrics.", above=0)
    checkpoint_every: int = setting(500, "Steps between two checkpoints.", above=0)
    validate_every: int = setting(
        0, "Steps between two looks at the validation split; 0 for none.", at_least=0
    )
    validation_images: int | None = setting(
        None, "So many images of the validation split, by chance; all by default.", above=0
    )
    keep_best: str | None = setting(
        None,
        "Keep a checkpoint of the best validation value of this term or loss, as elbo or kl; "
        "needs validate_every.",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", parse_learning_rate(self.learning_rate))
        super().__post_init__()
        if self.keep_best is not None and not self.validate_every:
            raise UsageError(
                f"keep_best={self.keep_best} needs validate_every, the steps between two looks at "
                "the validation split: expected a number above 0"
            )
        for name in ("steps", "log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) % self.steps_per_execution:
                raise UsageError(
                    f"steps_per_execution={self.steps_per_execution} must divide "
                    f"{name}={getattr(self, name)}"
                )
        if self.cpu_devices is not None:
            if self.strategy != "mirrored":
                raise UsageError(
                    f"cpu_devices={self.cpu_devices} applies to strategy=mirrored only, "
                    f"not to {self.strategy}"
                )
            check_replicas(self, self.cpu_devices)
        if self.jit_compile and self.strategy == "tpu":
            raise UsageError("jit_compile does not apply to strategy=tpu: a TPU compiles by itself")


def check_replicas(config: TrainingConfig, replicas: int) -> None:
    """Refuses what does not work on this many replicas.

    Raises:
        UsageError: naming the setting.
    """
    if config.batch_size % replicas:
        raise UsageError(
            f"batch_size={config.batch_size} does not divide over {replicas} replicas: "
            f"expected a multiple of {replicas}"
        )
    if replicas > 1 and config.jit_compile:
        raise UsageError(f"jit_compile works on one replica only; there are {replicas}")
    if replicas > 1 and config.steps_per_execution > 1:
        raise UsageError(
            f"steps_per_execution={config.steps_per_execution} works on one replica only; "
            f"there are {replicas}"
        )


@dataclasses.dataclass(frozen=True)
@declares(METRICS, keep_defaults=True)
class EvaluationConfig(Declared):
    """How it is measured: what several metrics share, and the options that a metric declares."""

    split: str = setting("test", "Split to measure.", choices=SPLITS)
    num_samples: int | None = setting(
        None, "Samples or examples to use; each metric's own number by default.", above=0
    )
    seed: int = setting(0, "Seed of the evaluation's noise.", at_least=0)
    feature_extractor: str | None = setting(
        None,
        "For metrics of classes and features: a run folder of --model=classifier, the name of a "
        "pretrained one, or a file of ImageNet Inception v3 weights (.h5); by default the "
        "pretrained classifier of the data set, where there is one.",
        path=True,
    )
    train_steps: int | None = setting(
        None,
        "Updates of a network that a metric trains; each metric's own number by default.",
        above=0,
    )

    def count(self, default: int, available: int | None = None) -> int:
        """How many samples or examples: as set, else `default`, at most `available`."""
        wanted = default if self.num_samples is None else self.num_samples
        return wanted if available is None else min(wanted, available)

    def __post_init__(self) -> None:
        from zoo import pretrained

        given = self.feature_extractor
        super().__post_init__()
        if given is not None and given in pretrained.names():  # a name is no path
            object.__setattr__(self, "feature_extractor", given)


ALL_PLAYERS = "all"


def parse_learning_rate(value: Any) -> dict[str, float]:
    """A number, `"5e-4"`, `"encoder=5e-4,decoder=1e-4"` or a mapping, as a mapping.

    A single number is kept under the key `"all"`.

    Raises:
        UsageError: a rate is not a positive finite number.
    """
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        pairs = [
            tuple(part.split("=", 1)) if "=" in part else (ALL_PLAYERS, part) for part in parts
        ]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        pairs = [(ALL_PLAYERS, value)]
    rates = {}
    for player, text in pairs:
        try:
            rate = float(text)
        except (TypeError, ValueError):
            rate = math.nan
        if not 0 < rate <= LARGEST_FLOAT:
            raise UsageError(
                f"learning_rate={value!r} is not accepted: expected a positive number, "
                "or one per player as encoder=5e-4,decoder=5e-4"
            )
        rates[player.strip()] = rate
    return rates


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """All that is needed to rebuild the model, the data and the training of a run."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    SECTIONS: ClassVar[dict[str, type[Checked]]] = {
        "model": ModelConfig,
        "data": DataConfig,
        "training": TrainingConfig,
    }

    # How devices share the work: what goes with the strategy.
    OF_STRATEGY = frozenset({"strategy", "cpu_devices", "jit_compile", "steps_per_execution"})
    # What may change between two starts of one run without making it another run.
    FREE = frozenset(
        {"data_dir", "steps", "log_every", "checkpoint_every"}
        | {"validate_every", "validation_images", "keep_best"}
        | OF_STRATEGY
    )

    @classmethod
    def create(cls, **settings: Any) -> RunConfig:
        """Sorts flat settings (`model="vae", steps=1000, ...`) into their sections.

        Raises:
            UsageError: a setting is unknown or its value is not accepted.
        """
        sections: dict[str, dict] = {name: {} for name in cls.SECTIONS}
        for key, value in settings.items():
            for name, section in cls.SECTIONS.items():
                if key in section.__dataclass_fields__:
                    sections[name][key] = value
                    break
            else:
                raise UsageError(unknown_setting(key, value, cls.names()))
        made: dict[str, Any] = {n: cls.SECTIONS[n](**values) for n, values in sections.items()}
        return cls(**made)

    @classmethod
    def names(cls) -> list[str]:
        """All settings."""
        return [name for s in cls.SECTIONS.values() for name in s.__dataclass_fields__]

    def flat(self) -> dict[str, Any]:
        """All settings in one dictionary, as `create` takes them."""
        return {k: v for name in self.SECTIONS for k, v in vars(getattr(self, name)).items()}

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The sections as JSON-able dictionaries."""
        return {name: dict(vars(getattr(self, name))) for name in self.SECTIONS}

    @classmethod
    def from_json(cls, sections: Mapping[str, Mapping[str, Any]]) -> RunConfig:
        """The inverse of `to_json`; unknown settings raise `UsageError`."""
        return cls.create(**{k: v for name in cls.SECTIONS for k, v in sections[name].items()})

    def differences(self, other: RunConfig) -> list[str]:
        """The settings, as `name: this -> other`, that make `other` another run."""
        mine, theirs = self.flat(), other.flat()
        return [
            f"{name}: {mine[name]!r} -> {theirs[name]!r}"
            for name in mine
            if name not in self.FREE and mine[name] != theirs[name]
        ]
