"""Verdicts, files and the page that is made of them."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import ttest_ind, ttest_rel

from zoo.files import read_json
from zoo.paper.outcome import (
    NOT_SEEN,
    SEEN,
    UNDECIDED,
    Claim,
    Estimate,
    Outcome,
    compare,
    compare_pairs,
    decide,
    judge,
    mean_and_error,
)
from zoo.paper.results import LONGEST, find_results, markdown_table, write_page
from zoo.paper.sample_metrics import does_better
from zoo.paper.statements import STATEMENTS, summary

RESULTS = Path(__file__).parents[2] / "docs/results"


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [(3, 1, SEEN), (-3, 1, NOT_SEEN), (1.9, 1, UNDECIDED), (9, None, UNDECIDED)]
    + [(math.nan, 1, UNDECIDED), (1, 0, UNDECIDED), (0, 0, NOT_SEEN), (-1, 0, UNDECIDED)],
)
def test_a_difference_decides_beyond_its_interval(difference, error, verdict):
    assert decide(Estimate(difference, error)) == verdict


def test_few_repeats_have_to_differ_by_more():
    assert decide(Estimate(3, 1, degrees=2)) == UNDECIDED
    assert decide(Estimate(4.4, 1, degrees=2)) == SEEN


def test_verdicts_are_those_of_students_tests(rng):
    """Of pairs, and of sides that spread unlike, by SciPy's own tests."""
    verdicts = {SEEN: 0, NOT_SEEN: 0, UNDECIDED: 0}
    for shift in rng.normal(scale=1.5, size=60):
        one, two = rng.normal(size=3), shift + 0.4 * rng.normal(size=4)
        claim = compare("one below two", mean_and_error(one), mean_and_error(two), "nats", 0.0)
        assert (claim.verdict != UNDECIDED) == (ttest_ind(one, two, equal_var=False).pvalue < 0.05)
        verdicts[claim.verdict] += 1
        pairs = compare_pairs("one below two", one.tolist(), two[:3].tolist(), "nats", 0.0)
        assert (pairs.verdict != UNDECIDED) == (ttest_rel(one, two[:3]).pvalue < 0.05)
    assert min(verdicts.values()) > 3


def test_compare_joins_the_errors_of_both_sides():
    claim = compare("a below b", Estimate(1.0, 3.0), Estimate(10.7, 4.0), "nats")
    more = (1.96 * 5 / 9.7) ** 2
    would = f"{more:.3g} times the repeats would decide, if the difference stays"
    assert claim.verdict == UNDECIDED
    assert claim.numbers == f"1 ± 3 against 10.7 ± 4 nats; {would}"
    decided = compare("a below b", Estimate(1.0, 3.0), Estimate(10.9, 4.0), "nats")
    assert decided.verdict == SEEN and decided.numbers == "1 ± 3 against 10.9 ± 4 nats"
    assert compare("a below b", Estimate(1.0), Estimate(11.1, 4.0), "nats").verdict == UNDECIDED


def test_what_would_decide_decides():
    """More repeats narrow the error and, where they are few, Student's quantile."""
    claim = judge("a below b", Estimate(3.0, 1.0, degrees=2), "3 nats")
    more = float(re.search(r"; (\S+) times", claim.numbers).group(1))
    assert 1 < more < (4.303 / 3) ** 2
    for times, verdict in ((1.1 * more, SEEN), (0.9 * more, UNDECIDED)):
        assert decide(Estimate(3.0, 1.0 / math.sqrt(times), degrees=3 * times - 1)) == verdict


def test_what_would_decide_is_found_of_many_repeats_too(rng):
    """Whose quantile does not narrow, so that rounding decides on which side the answer lies."""
    for value, error in zip(rng.normal(size=200), rng.uniform(1, 3, 200), strict=True):
        numbers = judge("a below b", Estimate(value, error), "nats", least=0.1).numbers
        if "times" in numbers:
            more = float(re.search(r"; (\S+) times", numbers).group(1))
            expected = (1.96 * error / max(value, 0.1 - value)) ** 2
            assert more == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("higher", [13.2, 13.0])
def test_two_that_are_alike_decide_where_they_are_sure(higher):
    """A difference that is below a tenth counts as none, unless it is sure."""
    sure, unsure = ((Estimate(13.1, e), Estimate(higher, e)) for e in (0.2, 2.0))
    claim = compare("a below b", *sure, "nats")
    end = higher - 13.1 + 1.96 * 0.2 * math.sqrt(2)
    assert claim.verdict == NOT_SEEN
    most = f"a difference of {end:.2g} at most, where {0.1 * max(13.1, higher):.2g} would count"
    assert claim.numbers.endswith(most)
    assert compare("a below b", *unsure, "nats").verdict == UNDECIDED
    assert compare("a below b", *sure, "nats", least=0.0).verdict == UNDECIDED
    small = compare("a below b", Estimate(13.1, 0.01), Estimate(13.2, 0.01), "nats")
    assert small.verdict == SEEN


@pytest.mark.parametrize("higher", [13.2, 13.0, 14.3])
def test_what_would_decide_that_two_are_alike_decides(higher):
    """Both ends of the interval are gone after: the one that is reached first."""

    def claim(times: float) -> Claim:
        sides = (Estimate(v, 1 / math.sqrt(times), 5 * times - 1) for v in (13.1, higher))
        return compare("a below b", *sides, "nats")

    more = float(re.search(r"; (\S+) times", claim(1).numbers).group(1))
    assert claim(0.9 * more).verdict == UNDECIDED
    assert claim(1.1 * more).verdict == (SEEN if higher == 14.3 else NOT_SEEN)


def test_mean_and_error(rng):
    values = rng.normal(size=7)
    mean, error, degrees = mean_and_error(values)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(7)) and degrees == 6
    assert mean_and_error([2.5]) == Estimate(2.5)


def test_an_outcome_leaves_files_and_a_page(tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2])
    outcome = Outcome(
        [Claim("The sky is blue", SEEN, "3 of 4")],
        {"colours": [{"name": "sky", "value": 1.23456}, {"name": "sea", "depth": 2}]},
        {"curve": ("A curve.", figure), "grid": ("A grid.", np.zeros((2, 2, 3), np.uint8))},
    )
    folder = tmp_path / "results" / "likelihoods"
    about = {"items": "Figure 22", "shows": "colours", "dataset": "", "scale": "smoke"}
    outcome.write(folder, command="zoo-paper", seconds=90.0, **about)
    written = {f.name: f.read_bytes() for f in folder.iterdir()}
    assert written.keys() == {"colours.csv", "curve.png", "curve.svg", "grid.png", "result.json"}
    outcome.write(folder, command="zoo-paper", seconds=90.0, **about)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == written
    with (folder / "colours.csv").open() as file:
        assert next(csv.DictReader(file)) == {"name": "sky", "value": "1.23456", "depth": ""}
    assert read_json(folder / "result.json")["prose"] == "The sky is blue: seen (3 of 4)."
    page = write_page(tmp_path / "results").read_text()
    assert "| The sky is blue | Figure 22 |  | **seen** | 3 of 4 |" in page
    assert "| sky | 1.235 |  |" in page
    assert "Scale `smoke`, seconds in all, the last call 1.5 min: `zoo-paper`" in page
    assert "![A curve.](results/likelihoods/curve.png)" in page


def test_long_tables_stay_in_their_files(tmp_path):
    rows = [{"value": i} for i in range(LONGEST + 1)]
    outcome = Outcome([], {"long": rows, "short": rows[1:]})
    about = {"items": "Figure 22", "shows": "-", "dataset": "", "scale": "smoke", "command": "-"}
    outcome.write(tmp_path / "results" / "likelihoods", seconds=1.0, **about)
    page = write_page(tmp_path / "results").read_text()
    assert f"[long](results/likelihoods/long.csv), {LONGEST + 1} rows" in page
    assert "| 0 |" not in page and f"| {LONGEST} |" in page


@pytest.mark.parametrize("given", [".", "../half-0.5", "../half-0.5/"])
def test_the_page_is_called_like_the_folder_however_that_is_given(tmp_path, monkeypatch, given):
    folder = tmp_path / "half-0.5"
    about = {"items": "-", "shows": "-", "dataset": "", "scale": "smoke", "command": "-"}
    Outcome([], {}, {"curve": ("A curve.", Figure())}).write(
        folder / "likelihoods", seconds=1.0, **about
    )
    monkeypatch.chdir(folder)
    page = write_page(Path(given))
    assert page == tmp_path / "half-0.5.md"
    assert "![A curve.](half-0.5/likelihoods/curve.png)" in page.read_text()


def test_the_page_says_what_an_experiment_has_otherwise(tmp_path):
    about = {"items": "-", "shows": "-", "scale": "medium", "command": "-", "seconds": 1.0}
    comparison = ("comparison/color_mnist_mini", "comparison/blue_marble")
    for place in (*comparison, "posterior_sizes/blue_marble"):
        folder = tmp_path / "results" / place
        Outcome([], {}).write(folder, dataset=folder.name, **about)
    page = write_page(tmp_path / "results").read_text()
    assert "Scale `medium` with 5 seeds, 10 model_seeds of vgh_plus_plus, " in page
    assert "Scale `medium` with critic_steps 500, 6 model_seeds of aae, 12 model_seeds of " in page
    assert "Scale `medium` with no long_posterior_pairs, " in page
    told = page.partition("## Scales")[2]
    assert "| steps 6,000, copies 10; steps 6,000 |" in told
    assert "; 7 seeds of `posteriors/color_mnist_mini`, `samples/blue_marble`; " in told
    assert "; no long_posterior_pairs of `posterior_sizes/blue_marble` |" in told


def test_the_page_leads_with_the_papers_statements(tmp_path):
    claims = [
        Claim("vgh_plus_plus does better than vgh (paper) by fid", SEEN, "1 against 2"),
        Claim("vgh_plus_plus does better than vae (paper) by fid", SEEN, "1 against 3"),
        Claim("vgh_plus_plus does better than aae (paper) by fid", NOT_SEEN, "1 against 0"),
    ]
    about = {"items": "Figures 8 and 9", "shows": "-", "scale": "smoke", "seconds": 1.0}
    for dataset, found in (("blue_marble", claims[:2]), ("color_mnist_mini", claims)):
        outcome = Outcome(found, {}, {"sweep": ("A sweep.", Figure())})
        folder = tmp_path / "results" / "comparison" / dataset
        outcome.write(folder, command="-", dataset=dataset, **about)
    page = write_page(tmp_path / "results").read_text()
    short = page.partition("## In a hurry")[2].partition("## Claims")[0]
    picture = "](results/comparison/color_mnist_mini/sweep.png) |"
    numbers = "color_mnist_mini: 1 against {0}; blue_marble: 1 against {0}"
    assert f"| VGH++ does better than VGH. | **seen** | {numbers.format(2)} | ![" in short
    assert f"AAE. | 2 **seen**, 1 **not seen** | {numbers.format(3)} | ![" in short
    assert short.count(picture) == 2 and "GANs" not in short
    assert page.count("## Figures 8 and 9: -") == 1
    assert page.index("### color_mnist_mini") < page.index("### blue_marble")


def test_statements_are_of_what_there_is():
    """Each finds claims, and the picture that it names, in the results of this repository."""
    rows = list(summary(list(find_results(RESULTS))))
    assert [row["the paper says"] for row in rows] == [s.text for s in STATEMENTS]
    assert [bool(row["picture"]) for row in rows] == [bool(s.picture) for s in STATEMENTS]


def test_table_keeps_bars_in_their_cells():
    assert r"| \|x\| |" in markdown_table([{"a": "|x|"}])


def test_table_has_every_column_of_every_row():
    assert (
        markdown_table([{"a": 1}, {"b": 0.5}]) == "| a | b |\n| --- | --- |\n| 1 |  |\n|  | 0.5 |\n"
    )


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [("inception_score", SEEN), ("ms_ssim_diversity", SEEN), ("wasserstein_critic", NOT_SEEN)],
)
def test_better_is_less_by_the_critic_and_more_by_the_rest(metric, verdict):
    values = {"worse": (1.0, 1.1, 0.9), "better": (2.0, 2.1, 1.9)}
    rows = [{"model": name, metric: v} for name in values for v in values[name]]
    claim = does_better("b", metric, rows, {"model": "worse"}, {"model": "better"}, "units")
    assert claim.verdict == verdict and claim.statement == f"b by {metric}"
