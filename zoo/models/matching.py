"""What a model matches with what."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Matching:
    """What a model matches, as data: its row of the paper's Figure 7 (paper.md section 6.10).

    Attributes:
        visible: how p(x) is matched to the data.
        latent: how q(z) or q(z|x) is matched to the prior.
        decoder: "explicit" where p(x|z) has a density, else "implicit".
        posterior: "explicit", "implicit", "either" or "none".
        bound_status: one of `zoo.saved_model.contract.BOUND_STATUSES`.
    """

    visible: str
    latent: str
    decoder: str
    posterior: str
    bound_status: str


def with_ex_post_prior(matching: Matching) -> Matching:
    """That of a model whose prior was fitted to its codes once it was trained: its bound has no
    closed form any more, and is none where a classifier stood for its divergence."""
    bound = matching.bound_status in ("exact", "estimate")
    return dataclasses.replace(
        matching,
        latent=f"{matching.latent}; then marginal, maximum likelihood",
        bound_status="estimate" if bound else "not_available",
    )
