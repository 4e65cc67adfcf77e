"""zoo-evaluate: measures a run, a SavedModel, or images that another program made.

zoo-evaluate --run_dir=runs/vae --metrics=elbo,marginal_kl
zoo-evaluate --saved_model=served/vae/1 --dataset=color_mnist_mini --metrics=all --output=vae.json
zoo-evaluate --samples=gan.npz --dataset=cifar10 --feature_extractor=inception.h5 --output=gan.json

A metric that was measured for this checkpoint with these settings is not measured again; of a run
and its own images the same command is answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from zoo import answers
from zoo.config import DataConfig, EvaluationConfig
from zoo.errors import UsageError
from zoo.flags import listings, paths, program, sources
from zoo.records import Entry, check_evaluation_file, pictures_folder


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-evaluate."""
    sources.define(values)
    program.define_shared(
        values,
        "output",
        output="JSON file of the records; evaluation.json of the run folder by default.",
    )
    paths.define_path(
        "samples",
        None,
        "Images of another program: a folder of files, an .npz with `images` [N, H, W, C], uint8 "
        "or floats in [0, 1], or an .npy.",
        flag_values=values,
    )
    program.define_settings(values, DataConfig, EvaluationConfig)
    flags.DEFINE_alias("classifier", "feature_extractor", flag_values=values)
    listings.define(values, "metrics", "datasets")
    flags.DEFINE_list("metrics", ["all"], "Metrics, or all that apply.", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Evaluates."""
    if listings.print_asked(values):
        return
    source = program.exactly_one(values, *sources.MODELS, "samples")
    settings = EvaluationConfig(**program.settings(values, EvaluationConfig))
    if not values.metrics:
        raise UsageError("metrics='' is not accepted: expected names, as elbo,marginal_kl, or all")
    run = sources.run_of(values)
    data = sources.data_of(values, run)
    if values.output and (run is not None or data is not None):
        output = Path(values.output)
    elif run is not None:
        output = run.evaluation_file
    else:
        raise UsageError(f"--{source} needs --dataset and --output; a run folder knows its own")
    check_evaluation_file(output)
    if source == "samples" and pictures_folder(output).resolve() == Path(values.samples).resolve():
        raise UsageError(
            f"output={values.output} would put its pictures among the samples: expected a file "
            "of another name"
        )
    # Of a run and its own images the answer may be on file, which takes neither to find.
    asked = None
    if run is not None and data is None:
        asked = answers.question(run, values.metrics, settings)
        if asked and (answer := answers.find(output, asked)):
            said, records = answer
            measured = dict.fromkeys(record["asked"]["metric"] for record in records)
            print("\n".join([*said, *(f"{name}: already measured" for name in measured)]))
            _print_records(records)
            print(f"all of it stands in {output}")
            return
    program.start_tensorflow()
    from zoo.data import load_dataset
    from zoo.evaluation.runner import evaluate
    from zoo.evaluation.subject.samples import GivenSamples
    from zoo.evaluation.subject.subject import Subject

    subject: Subject
    if source == "samples":
        assert data is not None  # without a run it was asked for
        dataset = load_dataset(data)
        subject = GivenSamples.read(values.samples, dataset.image_shape, values.skip_broken)
        print(f"{subject.available} samples in {subject.name}")
    else:
        subject = sources.subject_of(values, run)
        dataset = sources.dataset_of(data, run, subject)
    lines: list[str] = []

    def say(line: str) -> None:
        print(line)
        lines.append(line)

    records = evaluate(subject, dataset, values.metrics, settings, output, say)
    if asked:
        answers.keep(output, asked, [line for line in lines if ": left out: " in line], records)
    _print_records(records)
    print(f"wrote {output}")


def _print_records(records: Sequence[Entry]) -> None:
    for record in records:
        error = record["standard_error"]
        spread = f" +- {error:.3g}" if error is not None else ""
        print(f"  {record['metric']:24} {record['value']:12.6g}{spread}   n={record['n']}")
        for warning in record.get("warnings", ()):
            print(f"    ! {warning}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
