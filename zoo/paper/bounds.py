"""Whether training can be followed by a bound: Figures 5 and 23."""

from __future__ import annotations

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
    "{dataset}: what can be followed in training, nats per example, one line per seed. Only the "
    "VAE's is a bound; its batches are those of training."
)


def bounds(lab: Lab) -> Outcome:
    """The curves of the VAE's ELBO and of the hybrids' estimates (Figures 5 and 23)."""
    rows, claims, pictures = [], [], {}
    for dataset in lab.scale.datasets:
        figure, axes = panels(len(FOLLOWED), columns=2)
        progress = {}
        for axis, (model, (label, follow)) in zip(axes, FOLLOWED.items(), strict=True):
            lines = {}
            for seed in lab.scale.seeds:
                logged = lab.train(model, dataset, seed=seed).history()
                steps, values = [line["step"] for line in logged], list(map(follow, logged))
                lines[f"seed {seed}"] = steps, values
                rows.append(
                    {
                        "dataset": dataset,
                        "model": model,
                        "seed": seed,
                        "rank_correlation_with_step": float(spearmanr(steps, values).statistic),
                        "last": values[-1],
                    }
                )
            curves(axis, lines)
            axis.set(title=model, xlabel="step", ylabel=label)
            name = "rank_correlation_with_step"
            progress[model] = mean_and_error(column(rows, name, dataset=dataset, model=model))
        pictures[f"{dataset}-curves"] = (_CAPTION.format(dataset=dataset), figure)
        claims += [
            compare(
                f"{dataset}: what {model} offers follows training less closely than the VAE's ELBO",
                progress[model],
                progress["vae"],
                "(rank correlation of the curve with the step)",
            )
            for model in FOLLOWED
            if model != "vae"
        ]
    return Outcome(claims, {"curves": rows}, pictures)
