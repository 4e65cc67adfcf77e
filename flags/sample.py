"""zoo-sample: draws images from a run or a SavedModel, or shows what its codes do.

zoo-sample --run_dir=runs/vae --num_samples=64 --output=samples.png
zoo-sample --saved_model=served/vae/1 --num_samples=1000 --output=samples/
zoo-sample --run_dir=runs/vae --reconstruct=photos --output=reconstructions.png
zoo-sample --run_dir=runs/vae --reconstruct=photos --class_names --output=named.png
zoo-sample --run_dir=runs/vae --interpolate=a.png,b.jpg --output=walk.png
zoo-sample --run_dir=runs/vae --traverse --output=dimensions.png

--output is a .png, for a grid; a .npz with `images` uint8 and their codes `z`; or, without an
ending or with a / behind it, a new folder, for a PNG of each image.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from zoo.config import DataConfig
from zoo.errors import UsageError
from zoo.files import check_writable
from zoo.flags import listings, parsers, paths, program, sources
from zoo.settings import check_seed

if TYPE_CHECKING:
    import numpy as np

    from zoo.evaluation.subject.subject import Subject
    from zoo.run import Run

DEFAULT_SAMPLES = 64
DEFAULT_STEPS = 9  # of an interpolation; chosen
DEFAULT_ROWS = 8  # of a traversal; chosen
LARGEST_NUMBER = 1_000_000  # chosen: they are held in memory
_OTHERS = ("reconstruct", "interpolate", "traverse")


def define(values: flags.FlagValues) -> None:
    """Flags of zoo-sample."""
    sources.define(values)
    program.define_shared(
        values,
        "num_samples",
        "output",
        output="A .png, for a grid; a .npz with `images` uint8 and `z`; or a folder of PNGs.",
        num_samples="How many samples (64), images to reconstruct (64), images of an "
        "interpolation (9), or dimensions to traverse (8).",
    )
    help = "Sample i depends on (seed, i) alone; the number of the image that --traverse is around."
    parsers.define_whole("seed", 0, help, flag_values=values)
    help = "Show the images of this folder, each above its reconstruction."
    paths.define_path("reconstruct", None, help, flag_values=values)
    help = (
        "With --reconstruct: of each class, which is a sub-folder, in turn, with its name below "
        "the image, or in the .npz."
    )
    flags.DEFINE_bool("class_names", False, help, flag_values=values)
    help = "Walk between the codes of two image files, A,B, spherically."
    paths.define_paths("interpolate", help, flag_values=values)
    help = (
        "Show what the dimensions of the largest KL do, a row each; on the run's data or --dataset."
    )
    flags.DEFINE_bool("traverse", False, help, flag_values=values)
    program.define_settings(values, DataConfig)
    listings.define(values, "pretrained")


def main(values: flags.FlagValues) -> None:
    """Samples."""
    if listings.print_asked(values):
        return
    program.exactly_one(values, *sources.MODELS)
    program.exactly_one(values, "output")
    output, kind = Path(values.output), _kind(values.output)
    mode = _mode(values)
    program.check_positive(values, "num_samples", LARGEST_NUMBER)
    count = values.num_samples
    check_seed(values.seed)
    run = sources.run_of(values)
    check_writable(output)
    subject = sources.subject_of(values, run)
    if mode == "reconstruct":
        folder, count = Path(values.reconstruct), count or DEFAULT_SAMPLES
        drawn = _reconstructed(subject, folder, count, values.class_names, values.skip_broken)
    elif mode == "interpolate":
        drawn = _interpolated(subject, values.interpolate, count or DEFAULT_STEPS)
    elif mode == "traverse":
        drawn = _traversed(values, run, subject, count or DEFAULT_ROWS)
    else:
        drawn = _sampled(subject, values.seed, count or DEFAULT_SAMPLES)
    drawn.write(output, kind)
    print(f"wrote {len(drawn.images)} {drawn.what} of {subject.name} to {values.output}")


def _kind(output: str) -> str:
    """ ".png", ".npz", or "" for a folder."""
    kind = "" if output.endswith(os.sep) else Path(output).suffix
    if kind not in ("", ".png", ".npz"):
        raise UsageError(
            f"output={output!r} is not accepted: expected a .png or .npz file, or a folder, "
            "without an ending or with / behind it"
        )
    if not kind and Path(output).exists():
        raise UsageError(f"output={output!r} exists already: expected a new folder")
    return kind


def _mode(values: flags.FlagValues) -> str | None:
    """Which of `_OTHERS` is asked for; None for samples."""
    given = [name for name in _OTHERS if values[name].value not in (None, False)]
    if len(given) > 1:
        raise UsageError(f"give one of {' or '.join(f'--{name}' for name in given)}")
    if values.interpolate is not None and len(values.interpolate) != 2:
        raise UsageError(
            f"interpolate={','.join(values.interpolate)!r} is not accepted: expected two image "
            "files, A,B"
        )
    if values.reconstruct == "":
        raise UsageError("reconstruct='' is not accepted: expected a folder of images")
    if values.class_names and (given != ["reconstruct"] or not _kind(values.output)):
        raise UsageError("class_names applies to a .png or .npz of --reconstruct only")
    data = program.settings(values, DataConfig, given_only=True)
    if given == ["reconstruct"]:
        data.pop("skip_broken", None)
    if data and given != ["traverse"]:
        raise UsageError(f"{', '.join(data)} applies to --traverse only")
    if given == ["traverse"] and values.saved_model is not None and "dataset" not in data:
        raise UsageError(
            "--traverse of a --saved_model needs --dataset; a run folder knows its own"
        )
    return given[0] if given else None


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """What was made.

    Attributes:
        what: how a line calls the images.
        images: uint8 `[N, H, W, C]`.
        arrays: what an .npz has beside them.
        columns: of the grid; the squarest by default.
        above: originals that a grid has above them, uint8 `[N, H, W, C]`; None for none.
        captions: of them, N; None for none.
    """

    what: str
    images: np.ndarray
    arrays: dict[str, np.ndarray]
    columns: int | None = None
    above: np.ndarray | None = None
    captions: Sequence[str] | None = None

    def write(self, output: Path, kind: str) -> None:
        """Writes a grid, an .npz or a folder, by `kind`; see `_kind`."""
        import numpy as np

        from zoo.files import atomic_file
        from zoo.pictures import captioned, grid, save_png, save_pngs, side_by_side
        from zoo.pixels import as_floats

        if kind == ".npz":
            with atomic_file(output) as temporary:
                np.savez(temporary, allow_pickle=False, images=self.images, **self.arrays)
        elif kind == ".png" and self.above is not None:
            pair = as_floats(self.above), as_floats(self.images)
            named = captioned(*pair, self.captions) if self.captions else side_by_side(*pair)
            save_png(output, named)
        elif kind == ".png":
            save_png(output, grid(as_floats(self.images), self.columns))
        else:
            save_pngs(output, self.images)


def _sampled(subject: Subject, seed: int, count: int) -> _Drawn:
    import numpy as np

    from zoo.pixels import as_levels

    images, z = [], []
    for batch in subject.batches("sample", seed=seed, count=count):
        images.append(as_levels(batch["images"]))
        z.append(batch["z"])
    return _Drawn("samples", np.concatenate(images), {"z": np.concatenate(z)})


def _decoded(
    subject: Subject,
    what: str,
    z: np.ndarray,
    arrays: dict[str, np.ndarray],
    columns: int | None = None,
    above: np.ndarray | None = None,
    captions: Sequence[str] | None = None,
) -> _Drawn:
    from zoo.pixels import as_levels

    images = as_levels(subject.all("decode", z=z)["images"])
    return _Drawn(what, images, {"z": z, **arrays}, columns, above, captions)


def _reconstructed(
    subject: Subject, folder: Path, count: int, by_class: bool, skip_broken: bool
) -> _Drawn:
    import numpy as np

    from zoo.data.folder import Layout
    from zoo.data.listing import list_images
    from zoo.evaluation.subject.image_files import read_some
    from zoo.evaluation.subject.walks import point_codes

    subject.require("encode", "decode")
    listed = list_images(folder, "reconstruct").names
    names, classes = Layout.of(listed).in_turn() if by_class else (sorted(listed), None)
    files = [folder / name for name in names]
    originals, places = read_some(files, subject.image_shape, count, skip_broken)
    classes = classes and [classes[place] for place in places]
    arrays = {"originals": originals, **({"class_names": np.array(classes)} if classes else {})}
    z = point_codes(subject, originals)
    return _decoded(subject, "reconstructions", z, arrays, above=originals, captions=classes)


def _interpolated(subject: Subject, files: list[str], count: int) -> _Drawn:
    from zoo.evaluation.subject.image_files import read_images
    from zoo.evaluation.subject.walks import point_codes, slerp

    subject.require("encode", "decode")
    images = read_images([Path(file) for file in files], subject.image_shape)
    first, second = point_codes(subject, images)
    z = slerp(first, second, count)
    return _decoded(subject, "images between two", z, {"originals": images}, columns=count)


def _traversed(values: flags.FlagValues, run: Run | None, subject: Subject, rows: int) -> _Drawn:
    from zoo.evaluation.subject.walks import STEPS, traversal

    subject.require("encode", "decode")
    dataset = sources.dataset_of(sources.data_of(values, run), run, subject)
    found = traversal(subject, dataset, rows, values.seed)
    for dimension, kl in zip(found.dimensions, found.kl, strict=True):
        print(f"dimension {dimension}: mean KL {kl:.4g} nats")
    arrays = {"dimensions": found.dimensions, "kl": found.kl}
    return _decoded(subject, "images along dimensions", found.z, arrays, columns=STEPS)


def run() -> None:
    """Entry point."""
    program.run_program(main, define, __doc__)


if __name__ == "__main__":
    run()
