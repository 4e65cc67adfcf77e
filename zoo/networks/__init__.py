"""Networks belong to the data set's architecture family, never to a model.

Every model on a data set shares one decoder, one encoder rule and one image-critic rule, "for a
fair comparison" (Rosca et al. 2018, Appendix K; paper.md section 15 [P]).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.errors import UsageError
from zoo.registry import NETWORKS


def family_name(image_shape: tuple[int, int, int], name: str | None = None) -> str:
    """The family of networks for images `[H, W, C]`: `name`, or the default for their size.

    Raises:
        UsageError: the images are not square, or of a side that no family, or not that one, is for.
    """
    height, width, _ = image_shape
    families = NETWORKS if name is None else {name: NETWORKS[name]}
    for found, family in families.items():
        if height == width and height in family.sides:
            return found
    sides = sorted({side for family in families.values() for side in family.sides})
    raise UsageError(
        f"no networks{f' of {name}' if name else ''} for images of {height}x{width} pixels: "
        f"expected squares of {', '.join(map(str, sides))}"
    )


def family(image_shape: tuple[int, int, int], name: str | None = None) -> ModuleType:
    """The module of that family; see `family_name`."""
    return importlib.import_module(NETWORKS[family_name(image_shape, name)].module)
