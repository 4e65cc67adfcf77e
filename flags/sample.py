"""zoo-sample: draws images from a run or a SavedModel.

zoo-sample --run_dir=runs/vae --num_samples=64 --output=samples.png
zoo-sample --saved_model=served/vae/1 --num_samples=1000 --output=samples.npz
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import parsers, program
from zoo.run import Run

DEFAULT_SAMPLES = 64
LARGEST_NUMBER = 1_000_000  # chosen: they are held in memory


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-sample."""
    program.define_shared(
        values,
        "run_dir",
        "saved_model",
        "trust",
        "num_samples",
        "output",
        output="A .png, for a grid, or a .npz with `images` uint8 and `z`.",
    )
    parsers.define_whole("seed", 0, "Sample i depends on (seed, i) alone.", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Samples."""
    source = program.exactly_one(values, "run_dir", "saved_model")
    program.exactly_one(values, "output")
    output = Path(values.output)
    if output.suffix not in (".png", ".npz"):
        raise UsageError(f"output={values.output!r} is not accepted: expected a .png or .npz file")
    count = program.positive(values, "num_samples", LARGEST_NUMBER) or DEFAULT_SAMPLES
    program.check_seed(values)
    check_writable(output)
    run = Run.open(values.run_dir) if source == "run_dir" else None
    program.start_tensorflow()
    import numpy as np

    from zoo.evaluation.subject.subject import Subject
    from zoo.files import atomic_file
    from zoo.pictures import grid, save_png
    from zoo.pixels import as_levels

    subject = (
        Subject.of_run(run) if run else Subject.of_saved_model(values.saved_model, values.trust)
    )
    drawn = subject.all("sample", seed=values.seed, count=count)
    if output.suffix == ".png":
        save_png(output, grid(drawn["images"]))
    else:
        pixels = as_levels(drawn["images"])
        with atomic_file(output) as temporary:
            np.savez(temporary, images=pixels, z=drawn["z"])
    print(f"wrote {count} samples of {subject.name} to {output}")


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
