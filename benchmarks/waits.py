"""What a user waits for: `python -m benchmarks.waits` writes `waits.md`.

Each command is a process of its own, in an empty folder, and is timed from the shell to its end, in
turn with a process that does nothing but import what the command cannot do without: TensorFlow,
Keras and TensorFlow Probability, or NumPy alone where the command loads none of these. The last
column is the share of the command's time that this import takes: what is not the zoo's own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.run import conditions
from benchmarks.timing import interleaved, seconds
from zoo.markdown import line, table
from zoo.partial import remove

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).with_suffix(".md")
REPEATS = 3
COLUMNS = ("what", "seconds", "import alone", "share of it")
RECORDS = 300
_ALL = "import keras, tensorflow, tensorflow_probability"
_NUMPY = "import numpy"
PRETRAINED = "--pretrained=color_mnist_mini/vae"


class Wait(NamedTuple):
    """One thing that is waited for.

    Attributes:
        what: in words.
        program: as in `zoo.flags`.
        flags: of it.
        imports: what it cannot do without.
        prepare: called with the folder before each run.
    """

    what: str
    program: str
    flags: tuple[str, ...]
    imports: str = _ALL
    prepare: Callable[[Path], None] = lambda folder: None

    def run(self, folder: Path) -> float:
        """Seconds of the command in `folder`."""
        self.prepare(folder)
        return _seconds([sys.executable, "-m", f"zoo.flags.{self.program}", *self.flags], folder)


def _seconds(command: list[str], folder: Path) -> float:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return seconds(
        lambda: subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True
        )
    )


def waits(images: int) -> Iterator[Wait]:
    """All of them, in the order in which they build on each other.

    Args:
        images: PNGs of the folder.
    """
    tiny = ("--strategy=one_device", "--width=0.1", "--batch_size=64", "--steps=1")
    measure = (PRETRAINED, "--metrics=elbo,marginal_kl,fid", "--output=vae.json")
    folder = ("--dataset=folder", "--data_dir=photos", "--image_size=28")
    yield Wait("the flags: `zoo-train --help`", "train", ("--help",), _NUMPY)
    yield Wait(
        "one step and its checkpoint", "train", (*tiny, "--run_dir=one"), prepare=_without("one")
    )
    yield Wait(
        "64 samples of a pretrained model",
        "sample",
        (PRETRAINED, "--num_samples=64", "--output=s.png"),
    )
    yield Wait(
        "the export of a pretrained model",
        "export",
        (PRETRAINED, "--output=served", "--name=vae"),
        prepare=_without("served"),
    )
    yield Wait("three metrics of it", "evaluate", measure, prepare=_without("vae.json"))
    yield Wait("the same three, on file", "evaluate", measure, _NUMPY)
    yield Wait(
        f"the report of a run with {RECORDS} records",
        "report",
        ("--run_dir=one",),
        prepare=_records,
    )
    yield Wait(
        f"one step on a folder of {images:,} PNGs",
        "train",
        (*tiny, *folder, "--run_dir=new"),
        prepare=_without("new", ".cache"),
    )
    yield Wait(
        "the same again, from the cache",
        "train",
        (*tiny, *folder, "--run_dir=new"),
        prepare=_without("new"),
    )


def _without(*names: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        for name in names:
            remove(folder / name)

    return prepare


def _records(folder: Path) -> None:
    """Gives the run as many records as many metrics leave."""
    content = json.loads((folder / "vae.json").read_text())
    records = content["records"]
    many = [{**records[i % len(records)], "metric": f"metric_{i}"} for i in range(RECORDS)]
    content = {**content, "records": many, "pictures": []}
    (folder / "one" / "evaluation.json").write_text(json.dumps(content))


def save_images(folder: Path, count: int) -> None:
    """PNGs of noise, 28 pixels a side."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (28, 28, 3), np.uint8)).save(folder / f"{i:06}.png")


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="fewer write no page")
    images = parser.parse_args().images
    head, about = conditions(), __doc__.split("\n\n", 1)[1]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_images(folder / "photos", images)
        for wait in waits(images):
            pairs = interleaved(
                lambda wait=wait: wait.run(folder),
                lambda wait=wait: _seconds([sys.executable, "-c", wait.imports], folder),
                REPEATS,
            )
            time, alone = (statistics.median(side) for side in zip(*pairs, strict=True))
            share = statistics.median(b / a for a, b in pairs)
            rows.append((wait.what, f"{time:.3g}", f"{alone:.3g}", f"{share:.0%}"))
            print(line(rows[-1]), end="", flush=True)
    if images == parser.get_default("images"):
        head = f"# What a user waits for\n\n{head}\n{about}\n"
        FILE.write_text(head + table(COLUMNS, rows))


if __name__ == "__main__":
    main()
