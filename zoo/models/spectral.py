"""Models of which some networks are spectrally normalised."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from zoo.models.base import Batch, PlayerModel
from zoo.networks.spectral_norm import SpectralNorm


class SpectralModel(PlayerModel):
    """What a model with such networks has beside its base, which comes after this one."""

    @property
    def normalised_players(self) -> tuple[str, ...]:
        """The players whose networks are normalised."""
        raise NotImplementedError

    def _wrapped(self, player: str, network: Any) -> Any:
        return SpectralNorm(network) if player in self.normalised_players else network

    def _update(self, images: Batch, players: tuple[str, ...], index: int) -> dict[str, tf.Tensor]:
        """After a power iteration on each network that is to be moved."""
        for player in set(players).intersection(self.normalised_players):
            getattr(self, player).iterate()
        return super()._update(images, players, index)
