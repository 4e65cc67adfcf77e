"""zoo-evaluate: measures a run or a SavedModel.

zoo-evaluate --run_dir=runs/vae --metrics=elbo,marginal_kl
zoo-evaluate --saved_model=served/vae/1 --dataset=color_mnist_mini --metrics=all --output=vae.json

A metric that was measured for this checkpoint with these settings is not measured again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags

from flags import paths, program
from zoo.config import DataConfig, RunConfig
from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.run import Run


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-evaluate."""
    program.define_shared(
        values,
        "run_dir",
        "saved_model",
        "output",
        "num_samples",
        output="JSON file of the records; evaluation.json of the run folder by default.",
        num_samples="Samples or examples to use; each metric's own number by default.",
    )
    program.define_settings(values, DataConfig)
    flags.DEFINE_list("metrics", ["all"], "Metrics, or all that apply.", flag_values=values)
    flags.DEFINE_enum(
        "split", "test", ("train", "validation", "test"), "Split to measure.", flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Seed of the evaluation's noise.", flag_values=values)
    paths.define_path(
        "classifier",
        None,
        "For metrics of classes and features: a run folder of --model=classifier, or a file of "
        "ImageNet Inception v3 weights (.h5).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "train_steps",
        None,
        "Updates of a network that a metric trains; each metric's own number by default.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "draws", None, "Draws of z per image for iwae; 50 by default.", flag_values=values
    )
    flags.DEFINE_enum(
        "score",
        "log_q",
        ("log_q", "log_q_minus_log_p"),
        "For low_posterior: rank samples of the prior by q(z) or by q(z)/p(z).",
        flag_values=values,
    )


def main(values: flags.FlagValues) -> None:
    """Evaluates."""
    source = program.exactly_one(values, "run_dir", "saved_model")
    for name in ("num_samples", "train_steps", "draws"):
        program.positive(values, name)
    program.check_seed(values)
    if not values.metrics:
        raise UsageError("metrics='' is not accepted: expected names, as elbo,marginal_kl, or all")
    chosen = program.settings(values, given_only=True)
    if source == "run_dir":
        run = Run.open(values.run_dir)
        if "dataset" not in chosen and chosen:  # the same set, from another place
            chosen = {**vars(run.config.data), **chosen}
        output = Path(values.output) if values.output else run.path / "evaluation.json"
    else:
        if not values.output or "dataset" not in chosen:
            raise UsageError(
                "--saved_model needs --dataset and --output; a run folder knows its own"
            )
        output = Path(values.output)
    data = RunConfig.create(**chosen).data
    check_writable(output)
    program.start_tensorflow()
    from zoo.data import load_dataset
    from zoo.evaluation.evaluate import evaluate
    from zoo.evaluation.records import Settings
    from zoo.evaluation.subjects import Subject

    subject = (
        Subject.of_run(run) if source == "run_dir" else Subject.of_saved_model(values.saved_model)
    )
    dataset = load_dataset(data) if chosen else run.dataset
    if dataset.image_shape != subject.image_shape:
        raise UsageError(
            f"{dataset.name} has images {dataset.image_shape}, {subject.name} makes "
            f"{subject.image_shape}"
        )
    settings = Settings(**{f.name: values[f.name].value for f in dataclasses.fields(Settings)})
    records = evaluate(subject, dataset, values.metrics, settings, output, progress=print)
    for record in records:
        error = record["standard_error"]
        spread = f" +- {error:.3g}" if error is not None else ""
        print(f"  {record['metric']:24} {record['value']:12.6g}{spread}   n={record['n']}")
    print(f"wrote {output}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
