"""zoo-evaluate: measures a run or a SavedModel.

zoo-evaluate --run_dir=runs/vae --metrics=elbo,marginal_kl
zoo-evaluate --saved_model=served/vae/1 --dataset=color_mnist_mini --metrics=all --output=vae.json

A metric that was measured for this checkpoint with these settings is not measured again.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from zoo.config import DataConfig, EvaluationConfig, RunConfig
from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import listings, program
from zoo.run import Run


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-evaluate."""
    program.define_shared(
        values,
        "run_dir",
        "saved_model",
        "trust",
        "output",
        output="JSON file of the records; evaluation.json of the run folder by default.",
    )
    program.define_settings(values, DataConfig, EvaluationConfig)
    flags.DEFINE_alias("classifier", "feature_extractor", flag_values=values)
    listings.define(values, "metrics", "datasets")
    flags.DEFINE_list("metrics", ["all"], "Metrics, or all that apply.", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Evaluates."""
    if listings.print_asked(values):
        return
    source = program.exactly_one(values, "run_dir", "saved_model")
    settings = EvaluationConfig(**program.settings(values, EvaluationConfig))
    if not values.metrics:
        raise UsageError("metrics='' is not accepted: expected names, as elbo,marginal_kl, or all")
    chosen = program.settings(values, DataConfig, given_only=True)
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
    from zoo.evaluation.runner import evaluate
    from zoo.evaluation.subject.subject import Subject

    subject = (
        Subject.of_run(run)
        if source == "run_dir"
        else Subject.of_saved_model(values.saved_model, values.trust)
    )
    dataset = load_dataset(data) if chosen else run.dataset
    if dataset.image_shape != subject.image_shape:
        raise UsageError(
            f"{dataset.name} has images {dataset.image_shape}, {subject.name} makes "
            f"{subject.image_shape}"
        )
    records = evaluate(subject, dataset, values.metrics, settings, output, progress=print)
    for record in records:
        error = record["standard_error"]
        spread = f" +- {error:.3g}" if error is not None else ""
        print(f"  {record['metric']:24} {record['value']:12.6g}{spread}   n={record['n']}")
        for warning in record.get("warnings", ()):
            print(f"    ! {warning}")
    print(f"wrote {output}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
