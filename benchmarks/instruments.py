"""What each metric costs: `python -m benchmarks.instruments` writes `instruments.md`.

Every metric at its default settings on the VAE that comes with the zoo and on its test images, each
once, as `zoo-evaluate` measures it: what it traces, fits and trains counts. Those of
`wasserstein_critic`, `density_ratio_kl` and `density_model_kl` are their own training. The ratio is
to the time of a second `elbo`, one pass of encoder and decoder over the test images. What metrics
share, codes, samples and features, the first of them pays for.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import zoo
from benchmarks.run import conditions
from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.runner import make_metric
from zoo.evaluation.samples.feature_extractors import default_feature_extractor
from zoo.evaluation.subject.subject import Subject
from zoo.models.settings import keras_settings
from zoo.pretrained import folder_of
from zoo.records import Record
from zoo.registry import METRICS

MODEL, REFERENCE = "color_mnist_mini/vae", "elbo"
FILE = Path(__file__).parent / "instruments.md"


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a metric took.

    Attributes:
        seconds: of it once.
        rows: n of each of its records, the largest.
        records: how many it leaves.
    """

    seconds: float
    rows: int
    records: int


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=METRICS, nargs="+", help="these; writes no page")
    asked = parser.parse_args().only
    head, about = conditions(), __doc__.split("\n\n", 1)[1]
    costs = table(measure(asked or list(METRICS)))
    print(costs)
    if not asked:
        FILE.write_text(f"# What each metric costs\n\n{head}\n{about}\n{costs}", "utf-8")


def measure(names: list[str]) -> dict[str, Cost]:
    """The cost of each of these metrics that applies, and of the reference."""
    run = zoo.load_run(folder_of(MODEL))
    subject, dataset = Subject.of_run(run), run.dataset
    extractor = default_feature_extractor(dataset.name)
    settings = EvaluationConfig(feature_extractor=extractor)
    costs = {}
    for name in (REFERENCE, *names, REFERENCE):
        metric = make_metric(name)
        try:
            metric.check(subject, dataset, settings)
        except UsageError as reason:
            print(f"{name}: left out: {reason}")
            continue
        start = time.perf_counter()
        with keras_settings():
            items = list(metric.measure(subject, dataset, settings))
        seconds = time.perf_counter() - start
        records = [item for item in items if isinstance(item, Record)]
        costs[name] = Cost(seconds, max(record.n for record in records), len(records))
        print(f"{name}: {seconds:.2f} s", flush=True)
    return costs


def table(costs: dict[str, Cost]) -> str:
    """As Markdown, in the order of the registry."""
    lines = ["| metric | n | records | seconds | over a second `elbo` |", "|---|---|---|---|---|"]
    for name, cost in costs.items():
        ratio = cost.seconds / costs[REFERENCE].seconds
        lines.append(
            f"| `{name}` | {cost.rows:,} | {cost.records} | {cost.seconds:.3g} | {ratio:.3g} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
