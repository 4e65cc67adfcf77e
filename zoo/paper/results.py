"""The page of results, generated from the result files, so that text and numbers cannot drift."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.files import atomic_file, read_json
from zoo.markdown import table
from zoo.paper import EXPERIMENTS
from zoo.paper.scales import SCALES, Scale
from zoo.paper.statements import Result, summary, verdicts

LONGEST = 24  # rows of a table that the page shows; longer ones are in their files
_INTRODUCTION = """# Results

The experiments of "Distribution Matching in Variational Inference" (Rosca et al. 2018), and three
beyond it, as `zoo-paper` left them. This page is generated from the `result.json` files beside it;
how large each experiment is stands under [Scales](#scales).

A claim counts as *seen* where the 95 % interval of the difference that it speaks of lies above
zero. It is *not seen* where the interval ends below the least difference that counts, a tenth of
the larger value (of similarity, for diversity by MS-SSIM; zero for log-likelihoods and for what is
itself a margin): its numbers then say how large the difference can be. Else it is *not decidable at
this scale*. The interval is Student's t, over repeats where there are repeats, of pairs where they
share their runs or their seed and all but one setting, by Welch (1947) where they do not: of three
repeats it is 2.8 to 4.3 standard errors to each side. Where three seeds left a claim nearly decided
there are more, of the models whose repeats differ most or of all, so that chance decides slightly
more often than in one of twenty. Numbers after ±
are one standard error. A marginal KL stands beside its floor, `average KL - log N`, below which its
estimate cannot fall.
Times are elapsed, on one core of two or on both, with other work beside; what the last call of a
command found trained or measured is not in its time.

Corrected: Figure 1 said "seen, 13 ± 0.12 against 23.1 ± 0.96 nats" until loading a run was found to
drop the trained flow of RealNVP, and with it to measure another posterior. With its flow the same
training gave 13.12 ± 0.1 nats.
"""
_SHORT = """The paper's main statements, with the verdicts of all claims that speak of each, and the
numbers of the first of them; all claims stand below, each with its own: of {total}, {verdicts}.
"""


def page_of(folder: Path) -> Path:
    """`FOLDER.md`, also of a folder that is given as `.` or has a dot in its name."""
    folder = Path(os.path.abspath(folder))
    return folder.with_name(f"{folder.name}.md")


def write_page(folder: Path) -> Path:
    """Writes `FOLDER.md` from the results in `FOLDER` and returns its path."""
    page = page_of(folder)
    folder = page.with_name(page.stem)
    results = list(find_results(folder))
    parts = [_INTRODUCTION]
    if short := list(summary(results)):
        counts = Counter(claim["verdict"] for _, _, result in results for claim in result["claims"])
        told = _SHORT.format(total=counts.total(), verdicts=verdicts(counts))
        parts += ["## In a hurry\n", told, markdown_table(short)]
    parts += ["## Claims\n", _claims(results)]
    for name, found in itertools.groupby(results, lambda result: result.experiment):
        for i, (_, place, result) in enumerate(found):
            if i == 0:
                parts.append(f"## {result['items']}: {result['shows']}\n")
            if result["dataset"]:
                parts.append(f"### {result['dataset']}\n")
            parts += _section(name, place, result)
    parts += ["## Scales\n", _scales({result.found["scale"] for result in results})]
    with atomic_file(page) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
    return page


def find_results(folder: Path) -> Iterator[Result]:
    """The results in `folder`, in the order of the experiments and of the scales' data sets."""
    datasets = dict.fromkeys(name for scale in SCALES.values() for name in scale.datasets)
    for name in EXPERIMENTS:
        for place in (name, *(f"{name}/{dataset}" for dataset in datasets)):
            if (file := folder / place / "result.json").exists():
                yield Result(name, f"{folder.name}/{place}", read_json(file))


def _claims(results: Sequence[Result]) -> str:
    rows = [
        {
            "claim": claim["statement"],
            "item": result.found["items"],
            "data": result.found["dataset"],
            "verdict": f"**{claim['verdict']}**",
            "numbers": claim["numbers"],
        }
        for result in results
        for claim in result.found["claims"]
    ]
    return markdown_table(rows) if rows else "No experiment has been run yet.\n"


def _scales(names: Collection[str]) -> str:
    rows = [
        {
            "scale": f"`{scale.name}`",
            "data sets": ", ".join(scale.datasets),
            "training": "; ".join(_settings(setting) for setting in scale.training.values()),
            "width": scale.width,
            "batch": scale.batch_size,
            "seeds": len(scale.seeds),
            "samples": f"{scale.samples:,}",
            "seeds where the truth is known": len(scale.problem_seeds),
            "otherwise": _exceptions(scale),
        }
        for scale in SCALES.values()
        if scale.name in names
    ]
    return markdown_table(rows)


def _exceptions(scale: Scale) -> str:
    places: dict[str, list[str]] = {}
    for where, changes in scale.exceptions.items():
        places.setdefault(_settings(changes), []).append(f"`{where}`")
    return "; ".join(f"{told} of {', '.join(where)}" for told, where in places.items())


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(itertools.starmap(_setting, settings.items()))


def _setting(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_setting(name, seeds)} of {model}" for model, seeds in value.items())
    return f"{len(value) or 'no'} {name}" if isinstance(value, tuple) else f"{name} {value:,}"


def _section(name: str, place: str, result: Mapping[str, Any]) -> Iterator[str]:
    yield _facts(name, result)
    yield result["prose"] + "\n"
    for name, rows in result["tables"].items():
        yield f"[{name}]({place}/{name}.csv), {len(rows)} rows\n"
        if len(rows) <= LONGEST:
            yield markdown_table(rows)
    for picture, caption in result["pictures"].items():
        yield f"![{caption}]({place}/{picture}.png)\n\n{caption}\n"


def _facts(name: str, result: Mapping[str, Any]) -> str:
    scale, cost = SCALES[result["scale"]], EXPERIMENTS[name].cost[result["scale"]]
    otherwise = _settings(scale.otherwise(name, result["dataset"]))
    size = f"`{scale.name}`" + (f" with {otherwise}" if otherwise else "")
    last = f"the last call {result['seconds'] / 60:.1f} min"
    return f"Scale {size}, {cost} in all, {last}: `{result['command']}`\n"


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; floats to four digits."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return table(columns, ([_cell(row.get(column)) for column in columns] for row in rows))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")
