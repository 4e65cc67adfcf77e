"""A run -> a pretrained model: its weights, and a card about them."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UsageError
from zoo.files import atomic_folder, read_json, user_path, write_json
from zoo.formats import FORMAT_VERSION
from zoo.manifest import write_manifest
from zoo.pictures import grid, save_png
from zoo.pretrained import MANIFEST
from zoo.registry import INSTRUMENTS, source_of
from zoo.run import CARD, Run
from zoo.versions import versions

SAMPLES = 64  # in the picture of a card; chosen
_LARGE = 10_000  # entries of a weight that half precision is worth it for; chosen
_FIGURE = ("metric", "value", "standard_error", "n", "split", "feature_extractor")


def save_pretrained(
    run: Run,
    directory: str | Path,
    name: str | None = None,
    *,
    limits: str = "",
    half: bool = False,
) -> Path:
    """Writes the newest checkpoint of a run as a pretrained model, and returns its folder.

    Args:
        run: the run, with what was measured of it.
        directory: a new folder.
        name: how it shall be called; the folder's own name by default.
        limits: what a user should know that the figures do not tell, for the card.
        half: keep weights of 10,000 entries and more in float16. What was measured of the run is
            not taken then, since it is of other weights.

    Raises:
        UsageError: the folder exists already or cannot be written, or the run has no checkpoint.
    """
    folder = user_path(directory, "directory")
    if not isinstance(run, Run):
        raise UsageError(f"expected a run, as zoo.load_run gives, and got {type(run).__name__}")
    values = {name: variable.numpy() for name, variable in run.model.state.items()}
    if half:
        values = {name: _halved(value) for name, value in values.items()}
    with atomic_folder(folder) as temporary:
        for file in ("config.json", "networks.json", "metrics.jsonl"):
            if (run.path / file).exists():
                shutil.copyfile(run.path / file, temporary / file)
        checkpoint = temporary / "checkpoints" / f"step-{int(values['step']):08d}"
        checkpoint.mkdir(parents=True)
        np.savez_compressed(checkpoint / "state.npz", **values)
        model = Run.open(temporary).model  # read back: of the weights that are kept
        if "sample" in model.available_signatures:
            images = model.sample(SAMPLES, seed=0)["images"].numpy()
            save_png(temporary / "samples.png", grid(images))
        write_json(temporary / CARD, _card(run, name or folder.name, limits))
        keep_records(temporary, [] if half else run.evaluation()["records"])
    return folder


def keep_records(folder: Path, records: list[dict[str, Any]]) -> None:
    """Makes what was measured of a pretrained model its evaluation, and the figures of its card."""
    content = {"format_version": FORMAT_VERSION, "records": records, "pictures": []}
    write_json(folder / "evaluation.json", content)
    figures = [{key: record.get(key) for key in _FIGURE} for record in records]
    write_json(folder / CARD, {**read_json(folder / CARD), "figures": figures})
    write_manifest(folder, MANIFEST)


def _halved(value: np.ndarray) -> np.ndarray:
    large = value.dtype == np.float32 and value.size >= _LARGE
    return value.astype(np.float16) if large else value


def _card(run: Run, name: str, limits: str) -> dict[str, Any]:
    config, history = run.config, run.history()
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "model": config.model.model,
        "is_an_instrument": config.model.model in INSTRUMENTS,
        "dataset": config.data.dataset,
        "data_source": source_of(config.data.dataset).about,
        "data_fingerprint": run.data_fingerprint,
        "image_shape": list(run.image_shape),
        **({} if run.class_names is None else {"class_names": list(run.class_names)}),
        "step": int(run.model.step.numpy()),
        "minutes_of_training": _minutes(history),
        "processor": f"{_processor()}, {os.cpu_count()} cores, shared with other work",
        "last_log": {k: v for k, v in history[-1].items() if k != "step"} if history else {},
        "limits": limits,
        "versions": versions(),
    }


def _minutes(history: list[dict[str, Any]]) -> float | None:
    """From the rate of each line of the log."""
    seconds, before = 0.0, 0
    for line in history:
        seconds += (line["step"] - before) / line["steps_per_second"]
        before = line["step"]
    return round(seconds / 60, 1) if history else None


def _processor() -> str:
    """Its name, where the system tells one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return told[0] if told else platform.processor() or platform.machine()
