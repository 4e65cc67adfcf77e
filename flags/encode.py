"""zoo-encode: writes the codes of images by the encoder of a run or a SavedModel.

zoo-encode --run_dir=runs/vae --output=codes.npz
zoo-encode --saved_model=served/vae/1 --dataset=folder --data_dir=photos --output=codes.npz

The .npz has a row per image: z, mean and stddev where the posterior has them, split, and labels and
names (of files) where the data have them.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from zoo.config import SPLITS, DataConfig
from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import parsers, program, sources

EVERY = "all"


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-encode."""
    sources.define(values)
    program.define_shared(values, "output", output="The .npz to write.")
    program.define_settings(values, DataConfig)
    help = "Whose images; all, one after the other, by default."
    parsers.define_choice("split", EVERY, (*SPLITS, EVERY), help, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Encodes."""
    program.exactly_one(values, *sources.MODELS)
    program.exactly_one(values, "output")
    output = Path(values.output)
    if output.suffix != ".npz":
        raise UsageError(f"output={values.output!r} is not accepted: expected an .npz file")
    run = sources.run_of(values)
    data = sources.data_of(values, run)
    if run is None and data is None:
        raise UsageError("--saved_model needs --dataset; a run folder knows its own")
    check_writable(output)
    subject = sources.subject_of(values, run)
    subject.require("encode")
    dataset = sources.dataset_of(data, run, subject)
    from zoo.evaluation.subject.codes import write_codes

    splits = list(dataset.splits) if values.split == EVERY else [values.split]
    count = write_codes(subject, dataset, splits, output)
    print(f"wrote the codes of {count} images of {dataset.name} to {output}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
