"""What the paper says, in twelve sentences, and which claims of the experiments speak of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Statement(NamedTuple):
    """One sentence of the paper.

    Attributes:
        text: the sentence.
        experiments: keys in `zoo.paper.EXPERIMENTS`.
        claims: words of which their claims there have one; all claims where there are none.
        picture: of the first experiment; empty where it has none.
    """

    text: str
    experiments: tuple[str, ...]
    claims: tuple[str, ...] = ()
    picture: str = ""


STATEMENTS = (
    Statement(
        "A posterior richer than a Gaussian, RealNVP, does not bring q(z) nearer to p(z).",
        ("posteriors", "posterior_sizes"),
        picture="marginal_kl",
    ),
    Statement(
        "A VAE has samples from where q(z) has no mass: the bound flags them, and their pixels and "
        "codes are unlike those of data.",
        ("low_posterior",),
        picture="samples",
    ),
    Statement(
        "A density ratio underestimates the marginal KL.", ("density_ratio",), picture="estimates"
    ),
    Statement(
        "The estimate by a density ratio depends on the classifier: one more layer, or noise, "
        "raises it.",
        ("classifier_sensitivity",),
    ),
    Statement(
        "What hybrids offer in the place of a bound does not tell how training goes; the VAE's "
        "does.",
        ("bounds",),
        picture="curves",
    ),
    Statement(
        "With many more latents than needed a VAE leaves them unused, an AAE uses all and "
        "struggles.",
        ("many_latents",),
        picture="1000-spread",
    ),
    Statement("VGH++ does better than VGH.", ("comparison",), ("than vgh (paper)",), "sweep"),
    Statement(
        "By its samples VGH++ does better than VAE and AAE.",
        ("comparison",),
        ("than vae (", "than aae ("),
        "sweep",
    ),
    Statement(
        "GANs do better than VGH++ still.",
        ("comparison",),
        ("than vgh_plus_plus",),
        "sweep",
    ),
    Statement(
        "Density ratios of Gaussians are inaccurate; learning by them works in few dimensions, and "
        "fails in many.",
        ("synthetic",),
        picture="learning",
    ),
    Statement(
        "Density models, too, underestimate the marginal KL.",
        ("density_models",),
        picture="estimates",
    ),
    Statement(
        "With QuantizedNormal the marginal KL is larger than with Bernoulli.",
        ("likelihoods",),
        picture="marginal_kl",
    ),
)


class Result(NamedTuple):
    """What an experiment found on one data set.

    Attributes:
        experiment: key in `zoo.paper.EXPERIMENTS`.
        place: its folder, as the page calls it.
        found: its `result.json`.
    """

    experiment: str
    place: str
    found: Mapping[str, Any]


def summary(results: Sequence[Result]) -> Iterator[dict[str, str]]:
    """A row per statement of which an experiment has been run: what the paper says, the verdicts of
    its claims, the numbers of the first of each result, and a picture."""
    for statement in STATEMENTS:
        speaking = [
            (result, claims)
            for result in results
            if result.experiment in statement.experiments
            and (claims := [c for c in result.found["claims"] if _speaks_of(c, statement)])
        ]
        if speaking:
            counts = Counter(claim["verdict"] for _, claims in speaking for claim in claims)
            numbers = (_of_dataset(result, claims[0]["numbers"]) for result, claims in speaking)
            yield {
                "the paper says": statement.text,
                "here": verdicts(counts),
                "numbers": "; ".join(numbers),
                "picture": _picture(statement, speaking[0][0]),
            }


def _speaks_of(claim: Mapping[str, str], statement: Statement) -> bool:
    words = statement.claims
    return not words or any(word in claim["statement"] for word in words)


def _of_dataset(result: Result, numbers: str) -> str:
    dataset = result.found["dataset"]
    return f"{dataset}: {numbers}" if dataset else numbers


def verdicts(counts: Counter[str]) -> str:
    """How many claims have which verdict, most first; the verdict alone where all have one."""
    if len(counts) == 1:
        return f"**{next(iter(counts))}**"
    return ", ".join(f"{count} **{verdict}**" for verdict, count in counts.most_common())


def _picture(statement: Statement, result: Result) -> str:
    name = statement.picture
    shown = name in result.found["pictures"]
    return f"![{statement.text}]({result.place}/{name}.png)" if shown else ""
