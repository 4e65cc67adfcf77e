"""`report.html`: one self-contained page about a run, or about many; readable from anywhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import logging

from zoo.errors import UsageError
from zoo.figures import panels, svg
from zoo.files import atomic_file, read_bytes, user_path
from zoo.records import population_interval, read_evaluation, shown
from zoo.run import VALIDATION, Run

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PICTURE = 20 << 20  # bytes; chosen
_MOST_PANELS = 60  # curves that are drawn; chosen: no model of ours logs half as many
_LONGEST_NAME = 40  # characters of a curve's title; chosen
_PIXELS_BELOW = 600  # width of a PNG, as its header has it; a grid of 8 x 8 images of 64 has 526

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
div.wide { overflow-x: auto; }
img { max-width: 100%; }
img.pixels { image-rendering: pixelated; width: 460px; } svg { max-width: 100%; height: auto; }
"""


def write_report(run: Run) -> Path:
    """Writes `report.html` of a run and returns its path."""
    config = run.config
    evaluation = run.evaluation()
    lines = run.history()
    steps = lines[-1]["step"] if lines else 0
    body = [
        f"<h1>{_text(config.model.model)} on {_text(config.data.dataset)}</h1>",
        f'<p class="subtitle">{_text(run.path)}, step {steps} of {config.training.steps}</p>',
        _section("Metrics", _records_table(evaluation["records"])),
        _section("Evaluation", _evaluation_pictures(run.path, evaluation["pictures"])),
        _section("Samples and reconstructions", _pictures(run.path)),
        _section("Training", _curves(lines)),
        _section("Configuration", _table(sorted(config.flat().items()))),
    ]
    return _write(run.path / "report.html", str(run.path), body)


def write_evaluation(file: str | Path) -> Path:
    """Writes a page about an evaluation file, beside it and called like it, and returns its path.

    Raises:
        UsageError: it is no such file, or there is nothing in it.
    """
    file = user_path(file)
    evaluation = read_evaluation(file)
    if not evaluation["records"]:
        raise UsageError(f"{file} has no records: expected a file that zoo-evaluate wrote")
    body = [f"<h1>{_text(file.name)}</h1>"]
    measured = [(r.get("subject", ""), r.get("dataset", "")) for r in evaluation["records"]]
    for subject, dataset in dict.fromkeys(measured):
        own = [
            [
                e
                for e in evaluation[kind]
                if (e.get("subject"), e.get("dataset")) == (subject, dataset)
            ]
            for kind in ("records", "pictures")
        ]
        body.append(f"<h2>{_text(subject)} and {_text(dataset)}</h2>")
        body += [_records_table(own[0]), _evaluation_pictures(file.parent, own[1])]
    return _write(file.with_suffix(".html"), file.name, body)


def write_overview(folder: str | Path) -> Path:
    """Writes `report.html` about all runs below a folder and returns its path.

    One table has the settings in which the runs differ, and every metric that was measured; below
    it each run shows its newest samples. What is no run, or a damaged one, is named in a warning
    and on the page.

    Raises:
        UsageError: there is no run.
    """
    folder = user_path(folder)
    found, left_out = [], []
    for file in sorted(folder.rglob("config.json")):
        try:
            run = Run.open(file.parent)
            found.append((run, run.history(), run.evaluation()["records"]))
        except (UsageError, OSError) as error:
            logging.warning("left out of the overview: %s", error)
            left_out.append((str(file.parent.relative_to(folder)), error))
    if not found:
        reason = "; ".join(str(error) for _, error in left_out) or "none has a config.json"
        raise UsageError(f"{folder} has no run folder below it: {reason}")
    settings = [run.config.flat() for run, _, _ in found]
    differing = [k for k in settings[0] if any(s[k] != settings[0][k] for s in settings)]
    rows, figures = [], []
    for (run, lines, records), chosen in zip(found, settings, strict=True):
        name = str(run.path.relative_to(folder))
        values = {r["metric"]: _number(r, records) for r in records}
        steps = lines[-1]["step"] if lines else 0
        rows.append({"run": name, "steps": steps, **{k: chosen[k] for k in differing}, **values})
        samples = _by_step(run.path, "samples")
        figures += [_figure(run.path, samples[step], name) for step in sorted(samples)[-1:]]
    body = [
        f"<h1>{len(rows)} runs</h1>",
        f'<p class="subtitle">{_text(folder)}</p>',
        _section("Runs", f'<div class="wide">{_columns_table(rows)}</div>'),
        _section("Left out", _table(left_out) if left_out else ""),
        _section("Samples", "".join(figures)),
    ]
    return _write(folder / "report.html", str(folder), body)


def _write(target: Path, title: str, body: Iterable[str]) -> Path:
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )
    with atomic_file(target) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    return target


def _text(value: Any) -> str:
    return html.escape(str(value))


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}\n" if content else ""


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    cells = (f"<tr><td>{_text(k)}</td><td>{_text(v)}</td></tr>" for k, v in rows if v is not None)
    return f"<table>{''.join(cells)}</table>"


def _columns_table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(row.get(c, chr(32)))}</td>' for c in columns)}</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _number(record: dict[str, Any], records: list[dict[str, Any]]) -> str:
    beside = population_interval(record, records)
    return shown(record) + (f"; {beside}" if beside else "")


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
            f'<td class="number">{_text("" if record.get("step") is None else record["step"])}</td>'
            f'<td class="definition">{_text(record["definition"])}'
            + "".join(f"<br>{_text(t)}" for t in [population_interval(record, records)] if t)
            + "".join(f"<br><b>{_text(w)}</b>" for w in record.get("warnings", ()))
            + "</td></tr>"
        )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("metric", "value", "standard error", "n", "split", "step", "definition")
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _pictures(run_dir: Path) -> str:
    """The newest picture of each kind, and the first samples beside them."""
    figures = []
    for kind in ("samples", "reconstructions"):
        files = _by_step(run_dir, kind)
        steps = sorted(files)[:1] + sorted(files)[-1:] if kind == "samples" else sorted(files)[-1:]
        figures += [
            _figure(run_dir, files[step], f"{kind}, step {step}") for step in dict.fromkeys(steps)
        ]
    return "".join(figures)


def _by_step(run_dir: Path, kind: str) -> dict[int, Path]:
    """The pictures of a kind that the training made, by step."""
    found = {}
    for file in (run_dir / "images").glob(f"{kind}-*.png"):
        digits = file.stem.removeprefix(f"{kind}-")
        if digits.isascii() and digits.isdecimal():
            found[int(digits)] = file
    return found


def _evaluation_pictures(run_dir: Path, pictures: list[dict[str, Any]]) -> str:
    return "".join(_figure(run_dir, run_dir / p["file"], p["caption"]) for p in pictures)


def _figure(run_dir: Path, file: Path, caption: str) -> str:
    """A PNG of the run folder; nothing where it is none, or lies elsewhere: the names come from
    files that somebody else may have written."""
    data = _png(run_dir, file)
    if data is None:
        return ""
    # A small picture is pixels to be seen one by one, a large one a figure with letters.
    kind = "pixels" if int.from_bytes(data[16:20], "big") < _PIXELS_BELOW else "figure"
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure><img class="{kind}" alt="{_text(caption)}" '
        f'src="data:image/png;base64,{encoded}"><figcaption>{_text(caption)}</figcaption></figure>'
    )


def _png(run_dir: Path, file: Path) -> bytes | None:
    try:
        place = file.resolve()
        if not place.is_relative_to(run_dir.resolve()) or place.stat().st_size > _LARGEST_PICTURE:
            return None
        data = read_bytes(place)
    except (OSError, ValueError, RuntimeError, UsageError):  # gone, odd names, loops, no file
        return None
    return data if data.startswith(_PNG) else None


def _curves(lines: list[dict[str, Any]]) -> str:
    """One panel per metric, as SVG, with its value on the validation split beside it."""
    if len(lines) < 2:
        return ""
    known = {name for line in lines for name in line}
    names = [
        name
        for name in dict.fromkeys(n for line in lines for n in line)
        if name != "step" and name.removeprefix(VALIDATION) not in known - {name}
    ]
    drawn = names[:_MOST_PANELS]
    figure, axes = panels(len(drawn), 3, (3.7, 2.6))
    for axis, name in zip(axes, drawn, strict=True):
        for curve, label in ((name, "training"), (VALIDATION + name, "validation")):
            if points := [(line["step"], line[curve]) for line in lines if curve in line]:
                axis.plot(*zip(*points, strict=True), linewidth=1.2, label=label)
        if VALIDATION + name in known:
            axis.legend(fontsize=8)
        # A name is no formula.
        axis.set_title(name[:_LONGEST_NAME], fontsize=10, parse_math=False)
        axis.set_xlabel("step", fontsize=8)
        axis.grid(alpha=0.3)
    rest = len(names) - len(drawn)
    return svg(figure) + (f"<p>and {rest} more, in metrics.jsonl</p>" if rest else "")
