"""Whether training can be followed by a bound: Figures 5 and 23."""

from __future__ import annotations

from textwrap import fill

from scipy.stats import spearmanr

from zoo.figures import curves, panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, column, compare, mean_and_error

# What each model offers to be followed, from the terms that it logs. Which hybrid the paper shows
# beside the VAE is not known (paper.md section 11 [L]).
FOLLOWED = {
    "vae": ("ELBO", lambda line: line["elbo"]),
    "aae": (
        "log p(x|z) - estimate of KL(q(z)||p(z))",
        lambda line: line["log_likelihood"] - line["marginal_kl_ratio_estimate"],
    ),
    "adversarial_vb": ("ELBO with a ratio estimate", lambda line: line["elbo_ratio_estimate"]),
    "veegan": ("bound (15) with a ratio estimate", lambda line: line["bound_ratio_estimate"]),
}
_CAPTION = (
    "What can be followed in training, nats per example, one line per seed. Only the VAE's is a "
    "bound; its batches are those of training."
)
_PROGRESS = "rank_correlation_with_step"


def bounds(lab: Lab) -> Outcome:
    """The curves of the VAE's ELBO and of the hybrids' estimates (Figures 5 and 23)."""
    rows = []
    figure, axes = panels(len(FOLLOWED), columns=2)
    for axis, (model, (label, follow)) in zip(axes, FOLLOWED.items(), strict=True):
        lines = {}
        for seed in lab.scale.seeds:
            logged = lab.train(model, seed=seed).history()
            steps, values = [line["step"] for line in logged], list(map(follow, logged))
            lines[f"seed {seed}"] = steps, values
            progress = float(spearmanr(steps, values).statistic)
            rows.append({"model": model, "seed": seed, _PROGRESS: progress, "last": values[-1]})
        curves(axis, lines)
        axis.set(title=model, xlabel="step", ylabel=fill(label, 30))
    means = {model: mean_and_error(column(rows, _PROGRESS, model=model)) for model in FOLLOWED}
    claims = [
        compare(
            f"what {model} offers follows training less closely than the VAE's ELBO",
            means[model],
            means["vae"],
            "(rank correlation of the curve with the step)",
        )
        for model in FOLLOWED
        if model != "vae"
    ]
    return Outcome(claims, {"curves": rows}, {"curves": (_CAPTION, figure)})
