"""Whether a critic's logits may be believed: its temperature, and what its samples see of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

PAIRS = 5_000  # of held-out logits that the temperature is fitted to, chosen
OVERFITTED = 1.3  # temperature, chosen: fresh draws gave 0.9 to 1.05, a critic of 2,000 codes 2.0
ENOUGH_EFFECTIVE = 100  # chosen
_MARGIN = 3.0  # nats below the log of the samples, chosen
_REGULARIZATION = 1e6  # next to none, chosen


class Temperature(NamedTuple):
    """T of the best classifier logit / T + constant on codes that a critic did not train on (Guo
    et al. 2017): above 1 it is surer of itself than it may be."""

    value: float | None  # None where none is best: all are told apart, or worse than by chance
    least: float  # two standard errors below: small logits leave T open


def temperature(logit_q: np.ndarray, logit_p: np.ndarray) -> Temperature:
    """From logits of z ~ q and of z ~ p, `[M]` both."""
    logits = np.concatenate([logit_q[:PAIRS], logit_p[:PAIRS]])
    labels = np.repeat([1, 0], [len(logit_q[:PAIRS]), len(logit_p[:PAIRS])])
    scale = logits.std()
    if not scale or logit_q.min() > logit_p.max():
        return Temperature(None, 0.0)
    inputs = logits[:, None] / scale
    fit = LogisticRegression(C=_REGULARIZATION).fit(inputs, labels)
    chance = fit.predict_proba(inputs)[:, 1]
    columns = np.concatenate([inputs, np.ones_like(inputs)], axis=1)
    information = columns.T @ (columns * (chance * (1 - chance))[:, None])
    information += np.eye(2) / _REGULARIZATION
    slope, error = fit.coef_[0, 0], np.sqrt(np.linalg.inv(information)[0, 0])
    least = scale / (slope + 2 * error) if slope + 2 * error > 0 else math.inf
    return Temperature(float(scale / slope) if slope > 0 else None, float(least))


def nwj_value(logit_q: np.ndarray, logit_p: np.ndarray) -> tuple[float, float]:
    """E_q c - E_p e^c + 1 (Nguyen et al. 2010) on samples `[M]` of both, nats, with its standard
    error; minus infinity where an exp is beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(logit_p)
        error = np.sqrt((logit_q.var(ddof=1) + ratio.var(ddof=1)) / len(logit_q))
    return float(logit_q.mean() - ratio.mean() + 1), float(error)


def overshooting(donsker_varadhan: float, effective: float, m: int) -> tuple[str, ...]:
    """The warning of a Donsker-Varadhan or NWJ value that is no bound: a KL near log m lies in
    samples of p of which m draws have seen none, and the value may be above it."""
    if effective >= ENOUGH_EFFECTIVE and donsker_varadhan <= np.log(m) - _MARGIN:
        return ()
    return (
        f"not certified as a lower bound: the mean of exp(logit) rests on {effective:.3g} of {m} "
        f"samples (at least {ENOUGH_EFFECTIVE}), and the value has to be {_MARGIN:g} nats below "
        f"their log, {np.log(m):.4g}",
    )


def overfitted(found: Temperature) -> tuple[str, ...]:
    """The warning of a critic of this temperature."""
    if found.value is None or found.least <= OVERFITTED:
        return ()
    return (
        f"temperature {found.value:.3g}, above {OVERFITTED}: the classifier overfits its codes",
    )
