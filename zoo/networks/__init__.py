"""Networks belong to the data set's architecture family, never to a model.

Every model on a data set shares one decoder, one encoder rule and one image-critic rule, "for a
fair comparison" (Rosca et al. 2018, Appendix K; paper.md section 15 [P]).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from zoo.errors import UsageError
from zoo.registry import CHANNELS, NETWORKS

if TYPE_CHECKING:
    import keras


class NetworkFamily(Protocol):
    """What a module of networks has, beside `DEFAULT_LATENT_SIZE`."""

    def decoder(
        self, latent_size: int, image_shape: tuple[int, int, int], channels: int, width: float
    ) -> keras.Model:
        """z `[N, D]` -> `channels` maps `[N, H, W, channels]`, a linear head."""

    def encoder_trunk(self, image_shape: tuple[int, int, int], width: float) -> keras.Model:
        """Images `[N, H, W, C]` in [0, 1] -> features `[N, F]`."""

    def image_critic_trunk(
        self, image_shape: tuple[int, int, int], width: float, batch_norm: bool = True
    ) -> keras.Model:
        """Images -> features `[N, F]`."""

    def image_critic_head(self) -> keras.layers.Layer:
        """Those features -> one logit `[N, 1]`."""


def family_name(image_shape: tuple[int, int, int], name: str | None = None) -> str:
    """The family of networks for images `[H, W, C]`: `name`, or the default for their size.

    Raises:
        UsageError: no family, or not that one, is for such images.
    """
    families = NETWORKS if name is None else {name: NETWORKS[name]}
    for found, family in families.items():
        if family.fits(image_shape):
            return found
    known = ", ".join(f"{family.images} ({found})" for found, family in families.items())
    raise UsageError(
        f"no networks{f' of {name}' if name else ''} for images of the shape "
        f"{list(image_shape)}: expected {CHANNELS[0]} to {CHANNELS[-1]} channels and {known}"
    )


def family(image_shape: tuple[int, int, int], name: str | None = None) -> Any:
    """The module of that family, a `NetworkFamily`; see `family_name`."""
    return importlib.import_module(NETWORKS[family_name(image_shape, name)].module)
