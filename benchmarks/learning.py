"""What each model learns in 1,000 steps: `python -m benchmarks.learning [--only NAME]`.

Trains the models on `color_mnist_mini` at half width, each in a run folder of its own, and writes
`docs/learning.md` with a picture per model. A run that is there already is not trained again, and
an interrupted one goes on. A look at what models learn, not a timed test and not a comparison: the
paper trains 100,000 steps at full width and sweeps the learning rates.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import zoo
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.runner import evaluate
from zoo.evaluation.subject.subject import Subject
from zoo.files import atomic_file
from zoo.markdown import table
from zoo.pictures import grid, save_png, side_by_side
from zoo.pixels import as_floats
from zoo.records import INTERVAL
from zoo.run import Run

RUNS = Path("runs/learning")
DOCS = Path(__file__).parents[1] / "docs"
SETTINGS = {"dataset": "color_mnist_mini", "steps": 1000, "width": 0.5, "strategy": "one_device"}
VARIANTS = {
    "vae": {},
    "vae_real_nvp": {"model": "vae", "posterior": "real_nvp"},
    "vae_quantized_normal": {"model": "vae", "likelihood": "quantized_normal"},
    **{name: {} for name in zoo.MODELS if name not in ("vae", "wgan_gp")},
    "veegan_deterministic": {"model": "veegan", "posterior": "deterministic"},
    "veegan_adversarial": {"model": "veegan", "reconstructor_adversarial": True},
    # The slowest last: five critic updates a step; 256 numbers where other decoders emit one.
    "wgan_gp": {},
    "vae_categorical": {"model": "vae", "likelihood": "categorical", "batch_size": 16},
}
COLUMNS, SAMPLE_ROWS, EDGE = 10, 4, 4
MARGINAL = ("marginal_kl", "marginal_kl_floor")


def main() -> None:
    """Trains what is missing, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument("--only", choices=VARIANTS, help="one model; writes no page")
    arguments = parser.parse_args()
    runs = {}
    for name in [arguments.only] if arguments.only else VARIANTS:
        print(name, flush=True)
        settings = {"model": name, **SETTINGS, **VARIANTS[name]}
        runs[name] = zoo.train(arguments.runs / name, **settings)
        if not runs[name].is_finished:
            raise SystemExit(f"{name} was stopped; the same command goes on")
        draw(Subject.of_run(runs[name]), runs[name], DOCS / "learning" / f"{name}.png")
    if not arguments.only:
        with atomic_file(DOCS / "learning.md") as temporary:
            temporary.write_text(page(runs), encoding="utf-8")


def draw(subject: Subject, run: Run, file: Path) -> None:
    """Test images above their reconstructions where there is an encoder, then samples."""
    parts = []
    if "encode" in subject.functions:
        originals = run.dataset.split("test").images[:COLUMNS]
        parts.append(side_by_side(as_floats(originals), reconstruct(subject, originals), COLUMNS))
    if "sample" in subject.functions:
        samples = subject.all("sample", seed=0, count=SAMPLE_ROWS * COLUMNS)["images"]
        parts.append(grid(samples, COLUMNS))
    gap = np.full((EDGE, *parts[0].shape[1:]), 255, np.uint8)
    save_png(file, np.concatenate([piece for part in parts for piece in (gap, part)][1:]))


def reconstruct(subject: Subject, images: np.ndarray) -> np.ndarray:
    """The decoded point codes of uint8 images, `[N, H, W, C]` in [0, 1]."""
    codes = subject.all("encode", images=images)["z"]
    return subject.all("decode", z=codes)["images"]


def page(runs: dict[str, Run]) -> str:
    """The text of `docs/learning.md`."""
    dataset = next(iter(runs.values())).dataset
    test, train = (as_floats(dataset.split(s).images) for s in ("test", "train"))
    mean_image = np.square(test - train.mean(axis=0)).mean()
    packages = ("tensorflow", "keras", "tensorflow-probability")
    scores = measured(Subject.of_run(runs["vae"]), runs["vae"])
    data = ", ".join(f"{scores[f'{name}_data']:.3g}" for name in ("fid", "kid"))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    head = f"""# What the models learn in {SETTINGS["steps"]:,} steps

Written by `python -m benchmarks.learning`: `{SETTINGS["dataset"]}` (4,000 real digits), width
{SETTINGS["width"]}, 50 latents, batch 64 (`vae_categorical`: 16), seed 0, each model's own
learning rates. The paper trains a hundred times as long at twice the width and sweeps learning
rates; this page shows what each has learned by then, and ranks none.

- Reconstruction: mean squared error per pixel and channel, in units of the range [0, 1], of the
  decoded point codes of the {len(test)} test images. The mean of the training images gives
  {mean_image:.4f}.
- Frechet distance and KID of samples: on the features of the pretrained classifier, {len(test)}
  samples against the test images. Of other data: {data}.
- KL(q(z)||p(z)): `marginal_kl`, of these images, over its floor; the interval is that of the
  population (`docs/latent_kl.md`). Nats.
- Terms: means over the last {runs["vae"].config.training.log_every} training steps, nats per
  example (`l1`: mean over pixels; `critic_*`: logits, or for `wgan_gp` the critic's values).
  Likelihoods of different kinds do not compare.
- Steps/s: median over log lines, {os.cpu_count()} CPU cores shared with other work: an order of
  magnitude.
- {versions}.

`veegan_deterministic` does not learn to draw, and its critic tells why (below its picture): the
sign of its logit goes with the code, whichever image stands beside it. Nothing in its losses draws
the codes of data towards the prior, so that the critic tells the two joint distributions apart by
their codes alone, and the decoder learns little about images. The unit variance of `veegan`'s
reconstructor takes that handle away; with `reconstructor_adversarial` the encoder takes part.

`wae_gan` reconstructs worse than the mean image: at its published rates the game of codes has not
settled, their means lie 2 from zero and their deviation is 0.4, while samples, of codes from the
prior, are digits. `sngan`, `ali` and `alice` have not got beyond patterns of strokes. The ends of
an interval are estimates, which may cross where they meet (`veegan_adversarial`).

"""
    columns = (
        *("model", "reconstruction", "Frechet distance", "KID", "marginal KL / floor"),
        *("population's KL", "steps/s", "terms", "losses"),
    )
    rows = (row(name, run) for name, run in runs.items())
    return head + table(columns, rows) + "".join(pictures(runs))


def row(name: str, run: Run) -> tuple[str, ...]:
    """One row of the table."""
    lines = run.history()
    rate = statistics.median(line["steps_per_second"] for line in lines)
    last = {k: v for k, v in lines[-1].items() if k not in ("step", "steps_per_second")}
    losses = {k.removesuffix("_loss"): v for k, v in last.items() if k.endswith("_loss")}
    terms = {k: v for k, v in last.items() if not k.endswith("_loss")}
    error, subject = "-", Subject.of_run(run)
    if "encode" in subject.functions:
        test = run.dataset.split("test").images
        error = f"{np.square(as_floats(test) - reconstruct(subject, test)).mean():.4f}"
    scores = measured(subject, run)
    return (
        f"`{name}`",
        error,
        *(told(scores, *names) for names in (("fid",), ("kid",), MARGINAL)),
        told(scores, *INTERVAL, between=" to "),
        f"{rate:.1f}",
        listed(terms),
        listed(losses),
    )


def measured(subject: Subject, run: Run) -> dict[str, float]:
    """The metrics of the table that apply to a run, by record; kept in its folder."""
    values: dict[str, float] = {}
    for metric in ("fid", "kid", "marginal_kl", "population_kl"):
        about = subject, run.dataset, [metric], EvaluationConfig()
        with contextlib.suppress(UsageError):  # it does not apply
            entries = evaluate(*about, run.evaluation_file)
            values |= {entry["metric"]: entry["value"] for entry in entries}
    return values


def told(scores: dict[str, float], *names: str, between: str = " / ") -> str:
    """Three digits of each, a dash for what is not there."""
    values = [f"{scores[name]:.3g}" if name in scores else "-" for name in names]
    return between.join(values) if any(name in scores for name in names) else "-"


def listed(values: dict[str, float]) -> str:
    """`name value` with four digits, comma separated."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def pictures(runs: dict[str, Run]) -> Iterator[str]:
    """A section per model."""
    yield (
        "\nIn each picture: test images above their reconstructions where the model has an encoder,"
        "\nthen samples.\n"
    )
    for name, run in runs.items():
        yield f"\n## `{name}`\n\n![{name}](learning/{name}.png)\n"
        if run.config.model.model == "veegan":
            yield crossed(run)


def crossed(run: Run) -> str:
    """What VEEGAN's critic judges by: pairs of image and code, each with the other's partner."""
    subject = Subject.of_run(run)
    drawn = subject.all("sample", seed=0, count=500)
    images = as_floats(run.dataset.split("test").images[:500])
    codes = subject.all("encode", images=images)["z"]

    def critic(images: np.ndarray, z: np.ndarray) -> float:
        logits = run.model.joint_critic(tf.constant(images), tf.constant(z), training=False)
        return float(tf.reduce_mean(logits))

    samples, z = drawn["images"], drawn["z"]
    return (
        f"\nMean logit of the joint critic: samples with their z {critic(samples, z):.2f}, test "
        f"images with their codes {critic(images, codes):.2f};\ncrossed, samples with codes "
        f"{critic(samples, codes):.2f}, images with z {critic(images, z):.2f}. Deviation of "
        f"the codes {codes.std(axis=0).mean():.2f}, of z {z.std(axis=0).mean():.2f}.\n"
    )


if __name__ == "__main__":
    main()
