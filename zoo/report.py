"""`report.html`: one self-contained page about a run, readable from any file system."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

from zoo.files import atomic_file
from zoo.run import Run

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend has to be chosen before

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #eee; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.definition { color: #666; font-size: 13px; } p.subtitle { color: #666; margin-top: .2rem; }
figure { margin: 0 1.5rem 1rem 0; display: inline-block; vertical-align: top; }
figcaption { color: #666; font-size: 13px; }
img.pixels { image-rendering: pixelated; width: 460px; } svg { max-width: 100%; height: auto; }
"""


def write_report(run: Run) -> Path:
    """Writes `report.html` of a run and returns its path."""
    config = run.config
    evaluation = run.evaluation()
    lines = run.metrics()
    steps = lines[-1]["step"] if lines else 0
    body = [
        f"<h1>{_text(config.model.model)} on {_text(config.data.dataset)}</h1>",
        f'<p class="subtitle">{_text(run.path)}, step {steps} of {config.training.steps}</p>',
        _section("Metrics", _records_table(evaluation["records"])),
        _section("Evaluation", _evaluation_pictures(run.path, evaluation["pictures"])),
        _section("Samples and reconstructions", _pictures(run.path / "images")),
        _section("Training", _curves(lines)),
        _section("Configuration", _table(sorted(config.flat().items()))),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(run.path)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )
    target = run.path / "report.html"
    with atomic_file(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _text(value: Any) -> str:
    return html.escape(str(value))


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}\n" if content else ""


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    cells = (f"<tr><td>{_text(k)}</td><td>{_text(v)}</td></tr>" for k, v in rows if v is not None)
    return f"<table>{''.join(cells)}</table>"


def _records_table(records: list[dict[str, Any]]) -> str:
    if not records:
        return ""
    rows = []
    for record in records:
        error = record["standard_error"]
        spread = "" if error is None else f"&plusmn; {error:.3g}"
        rows.append(
            f"<tr><td>{_text(record['metric'])}</td>"
            f'<td class="number">{record["value"]:.6g}</td><td class="number">{spread}</td>'
            f'<td class="number">{record["n"]}</td><td>{_text(record["split"] or "")}</td>'
            f'<td class="number">{_text(record["step"])}</td>'
            f'<td class="definition">{_text(record["definition"])}</td></tr>'
        )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("metric", "value", "standard error", "n", "split", "step", "definition")
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _pictures(folder: Path) -> str:
    """The newest picture of each kind, and the first samples beside them."""
    figures = []
    for kind in ("samples", "reconstructions"):
        files = sorted(folder.glob(f"{kind}-*.png"))
        for file in dict.fromkeys(files[:1] + files[-1:]):
            step = int(file.stem.rsplit("-", 1)[1])
            figures.append(_figure(file, f"{kind}, step {step}"))
    return "".join(figures)


def _evaluation_pictures(folder: Path, pictures: list[dict[str, Any]]) -> str:
    files = ((folder / p["file"], p["caption"]) for p in pictures)
    return "".join(_figure(file, caption) for file, caption in files if file.exists())


def _figure(file: Path, caption: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure><img class="pixels" alt="{_text(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _curves(lines: list[dict[str, Any]]) -> str:
    """One panel per metric, as SVG."""
    if len(lines) < 2:
        return ""
    names = [name for name in dict.fromkeys(n for line in lines for n in line) if name != "step"]
    columns = 3
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 2.6 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        points = [(line["step"], line[name]) for line in lines if name in line]
        axis.plot(*zip(*points, strict=True), linewidth=1.2)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    plt.close(figure)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
