"""`--list_models`, `--list_presets`, `--list_metrics`, `--list_datasets`,
`--list_pretrained`: what there is to name."""

from __future__ import annotations

from absl import flags

from zoo import pretrained
from zoo.flags import preset, program
from zoo.options import summary_of
from zoo.registry import DATASETS, METRICS

_FIGURES = ("inception_score", "fid", "marginal_kl")  # of a pretrained model; chosen


def define(values: flags.FlagValues, *kinds: str) -> None:
    """Defines `--list_KIND` of these kinds, keys of `_LISTINGS`."""
    for kind in kinds:
        help = f"Print what the {kind} are and exit."
        flags.DEFINE_bool(f"list_{kind}", False, help, flag_values=values)


def print_asked(values: flags.FlagValues) -> bool:
    """Prints the lists that are asked for; returns whether any is."""
    asked = [k for k in _LISTINGS if f"list_{k}" in values and values[f"list_{k}"].value]
    for kind in asked:
        print(_LISTINGS[kind]())
    return bool(asked)


def _models() -> str:
    program.start_tensorflow()
    from zoo.models.overview import overview

    also = "For the metrics of classes and features: classifier, on a data set with labels."
    return f"{overview()}\n\n{also}"


def _presets() -> str:
    """Each with the settings that it stands for."""
    return _columns({name: " ".join(preset.settings_of(name)) for name in preset.names()})


def _metrics() -> str:
    return _columns({name: summary_of(part) for name, part in METRICS.items()})


def _datasets() -> str:
    lines = {}
    for name, source in DATASETS.items():
        shape = source.image_shape
        size = "x".join(map(str, shape)) if shape else "of any size"
        lines[name] = f"{size:13}{summary_of(source.loader)}"
    return _columns(lines)


def _pretrained() -> str:
    """Each with its data, steps, size, and up to three figures."""
    lines = {}
    for name in pretrained.names():
        card, folder = pretrained.card_of(name), pretrained.folder_of(name)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        values = {f["metric"]: f["value"] for f in card["figures"]}
        figures = [f"{metric} {values[metric]:.4g}" for metric in _FIGURES if metric in values]
        about = [card["dataset"], f"{card['step']} steps", f"{size / 1e6:.1f} MB", *figures]
        lines[name] = ", ".join(about)
    return _columns(lines)


def _columns(lines: dict[str, str]) -> str:
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in lines.items())


_LISTINGS = {
    "models": _models,
    "presets": _presets,
    "metrics": _metrics,
    "datasets": _datasets,
    "pretrained": _pretrained,
}
