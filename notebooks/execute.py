"""Executes notebooks from their first cell to their last, and writes what they show into them.

python -m notebooks.execute            all of them
python -m notebooks.execute 1_*.ipynb  these

Each runs in a kernel of its own, in an empty folder. What is written depends on the run alone: no
times, no identities of a machine, one kernel's name for all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
SECONDS = 280  # that a cell may take
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def names() -> list[str]:
    """Of all notebooks, in their order."""
    return sorted(file.name for file in FOLDER.glob("*.ipynb"))


def execute(name: str) -> nbformat.NotebookNode:
    """The notebook of that name with the outputs of a new run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raises.
    """
    notebook = nbformat.read(FOLDER / name, as_version=4)
    with tempfile.TemporaryDirectory() as folder, _surrounding(folder):
        client = NotebookClient(
            notebook,
            kernel_name=KERNEL["name"],
            extra_arguments=["--log-level=ERROR"],  # not that its port is not encrypted
            timeout=SECONDS,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    return normalised(notebook)


@contextlib.contextmanager
def _surrounding(folder: str) -> Iterator[None]:
    """The environment of a kernel: this checkout's code, this Python's kernel, and no history or
    start-up files of the user's."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    given = {
        "PYTHONPATH": path,
        "IPYTHONDIR": os.path.join(folder, ".ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    with mock.patch.dict(os.environ, given):
        yield


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """`notebook` without what differs between two runs of the same code."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).clear()
    return notebook


def write(name: str, notebook: nbformat.NotebookNode) -> None:
    """Writes it, one line of a cell on a line of the file."""
    (FOLDER / name).write_text(nbformat.writes(notebook).rstrip() + "\n", encoding="utf-8")


def main(wanted: list[str]) -> None:
    """Executes those that are named, or all."""
    for name in [Path(file).name for file in wanted] or names():
        start = time.monotonic()
        write(name, execute(name))
        size = (FOLDER / name).stat().st_size
        print(f"{name}: {time.monotonic() - start:.0f} s, {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
