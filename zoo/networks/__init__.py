"""Networks belong to the data set's architecture family, never to a model.

Every model on a data set shares one decoder, one encoder rule and one image-critic rule, "for a
fair comparison" (Rosca et al. 2018, Appendix K; paper.md section 15 [P]).
"""

from __future__ import annotations

from types import ModuleType

from zoo.errors import UsageError
from zoo.networks import color_mnist, dcgan

_FAMILIES = {28: color_mnist, 32: dcgan, 64: dcgan, 128: dcgan}


def family(image_shape: tuple[int, int, int]) -> ModuleType:
    """The module of networks for images `[H, W, C]`.

    Raises:
        UsageError: the images are not square or have a side without a family.
    """
    height, width, _ = image_shape
    if height != width or height not in _FAMILIES:
        sides = ", ".join(map(str, _FAMILIES))
        raise UsageError(
            f"no networks for images of {height}x{width} pixels: expected squares of {sides}"
        )
    return _FAMILIES[height]
