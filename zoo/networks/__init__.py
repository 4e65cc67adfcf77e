"""Networks belong to the data set's architecture family, never to a model.

Every model on a data set shares one decoder, one encoder rule and one image-critic rule, "for a
fair comparison" (Rosca et al. 2018, Appendix K; paper.md section 15 [P]).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.errors import UsageError
from zoo.registry import CHANNELS, NETWORKS


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


def family(image_shape: tuple[int, int, int], name: str | None = None) -> ModuleType:
    """The module of that family; see `family_name`."""
    return importlib.import_module(NETWORKS[family_name(image_shape, name)].module)
