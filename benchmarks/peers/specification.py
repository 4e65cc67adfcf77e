"""The two architecture families as data, for peers that share no code with the zoo."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

Layer = tuple[int, int, int]  # feature maps, kernel, strides


@dataclasses.dataclass(frozen=True)
class Specification:
    """Encoder, decoder and image critic of a family at the paper's width.

    Attributes:
        side: of the square images, which have three channels.
        latent_size: D.
        encoder: its convolutions; a dense layer to the code follows.
        start: side and maps of what the decoder's first layer makes of a code.
        decoder: its transposed convolutions.
        critic: the convolutions of the image critic; a dense layer to one logit follows.
    """

    side: int
    latent_size: int
    encoder: tuple[Layer, ...]
    start: tuple[int, int]
    decoder: tuple[Layer, ...]
    critic: tuple[Layer, ...]

    def features(self, layers: tuple[Layer, ...]) -> int:
        """Size of the flattened output of these convolutions."""
        side = self.side
        for _, _, strides in layers:
            side = -(-side // strides)
        return side * side * layers[-1][0]

    def vae_operations(self, batch: int) -> float:
        """Floating-point operations of the matrix products of a VAE step: forward and both backward
        products, of which the first layer needs no gradient of its input."""
        products = [
            side**2 * kernel**2 * inputs * maps
            for side, kernel, inputs, maps in self._convolutions(smaller=True)
        ]
        return 2.0 * batch * (3 * (sum(products) + self._dense()) - products[0])

    def vae_bytes(self, batch: int) -> float:
        """Bytes that a VAE step holds at once, all float32: weights, their gradients and Adam's two
        moments; what the backward pass needs, the outputs of every convolution, batch norm and
        ReLU; and the gradient of the largest of these."""
        layers = list(self._convolutions(smaller=False))
        weights = self._dense() + sum(k**2 * c * maps for _, k, c, maps in layers)
        outputs = [batch * side**2 * maps for side, _, _, maps in layers]
        return 4.0 * (4 * weights + 3 * sum(outputs) + max(outputs))

    def _dense(self) -> int:
        """Multiply-adds per image, and weights, of the dense layers around the code."""
        side, maps = self.start
        return self.latent_size * (2 * self.features(self.encoder) + side * side * maps)

    def _convolutions(self, smaller: bool) -> Iterator[tuple[int, int, int, int]]:
        """Side, kernel, maps in and maps out of each convolution of encoder and decoder; the side
        is that of the smaller of input and output, or of the output."""
        side, inputs = self.side, 3
        for maps, kernel, strides in self.encoder:
            side = -(-side // strides)
            yield side, kernel, inputs, maps
            inputs = maps
        side, inputs = self.start
        for maps, kernel, strides in self.decoder:
            yield side if smaller else side * strides, kernel, inputs, maps
            side, inputs = side * strides, maps


COLOR_MNIST = Specification(
    side=28,
    latent_size=50,
    encoder=((32, 5, 2), (64, 5, 1), (64, 5, 2)),
    start=(7, 64),
    decoder=((64, 5, 2), (32, 5, 1), (3, 5, 2)),
    critic=((8, 5, 2), (16, 5, 1), (32, 5, 2), (64, 5, 1), (64, 5, 2)),
)
CIFAR10 = Specification(
    side=32,
    latent_size=128,
    encoder=((64, 4, 2), (128, 4, 2), (256, 4, 2)),
    start=(4, 256),
    decoder=((128, 4, 2), (64, 4, 2), (3, 4, 2)),
    critic=((64, 4, 2), (128, 4, 2), (256, 4, 2)),
)
SPECIFICATIONS = {"color_mnist": COLOR_MNIST, "cifar10": CIFAR10}
