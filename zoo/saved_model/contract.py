"""The contract of the signatures: what goes in, what comes out, and why a model may lack one.

Images are float32 `[N, H, W, C]` in [0, 1], codes `z` float32 `[N, D]`, seeds int32 `[N]`, one per
row; log-probabilities are nats per example `[N]`. One row's result never depends on the others.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from zoo.errors import UsageError

RANKS = {"z": 2, "images": 4, "seed": 1}  # dimensions of the inputs

# "exact" (closed-form KL), "estimate" (unbiased Monte Carlo KL), "ratio_estimate" (a classifier
# stands for a divergence: not a bound) or "not_available".
BOUND_STATUSES = ("exact", "estimate", "ratio_estimate", "not_available")


class Signature(NamedTuple):
    """One signature.

    Attributes:
        inputs: keys of `RANKS`.
        outputs: those that every reader may rely on; there may be more.
        lacking: why a model may not have it.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    lacking: str = "it was not exported"


_NO_PRIOR = "or there is no prior (zoo-fit-prior fits one to a run)"
WITHOUT_PRIOR = f"it was not exported, {_NO_PRIOR}"
WITHOUT_DENSITY = f"it was not exported, or its density is not known (two_stage), {_NO_PRIOR}"

SIGNATURES = {
    "decode": Signature(("z",), ("images",)),
    "encode": Signature(("images",), ("z",), "it has no encoder"),
    "sample_posterior": Signature(("images", "seed"), ("z",), "it has no posterior"),
    "sample": Signature(("seed",), ("images", "z"), WITHOUT_PRIOR),
    # Beside them `elbo`, or `elbo_ratio_estimate`: their difference.
    "elbo": Signature(("images", "seed"), ("log_likelihood", "kl"), "it has no trackable bound"),
    "to_base": Signature(
        ("z",),
        ("base", "log_det"),
        "it has no flow, or one that depends on the image (flow_context)",
    ),
    # Of a prior that is another than N(0, I) alone.
    "sample_prior": Signature(("seed",), ("z",), WITHOUT_PRIOR),
    "log_prior": Signature(("z",), ("log_prior",), WITHOUT_DENSITY),
}

# What stands for a signature where the runtime has no generator of random numbers of ours.
PORTABLE = {"decode": "decode", "encode": "encode", "elbo": "elbo_noise"}


def require(available: Collection[str], needed: str, what: str) -> None:
    """Raises `UsageError`, saying why, where the signature `needed` is not `available`."""
    if needed not in available:
        known = SIGNATURES.get(needed)
        raise UsageError(
            f"{what} has no signature {needed!r}: {known.lacking if known else 'it is not ours'}; "
            f"it has {', '.join(available)}"
        )
