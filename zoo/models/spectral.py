"""Models of which some networks are spectrally normalised."""

from __future__ import annotations

import tensorflow as tf

from zoo.models.base import Batch, PlayerModel
from zoo.networks.spectral_norm import SpectralNorm


class SpectralModel(PlayerModel):
    """What a model with such networks has beside its base, which comes after this one."""

    @property
    def normalised_players(self) -> tuple[str, ...]:
        """The players whose networks are normalised."""
        raise NotImplementedError

    def _build_networks(self) -> None:
        super()._build_networks()
        for player in self.normalised_players:
            setattr(self, player, SpectralNorm(getattr(self, player)))

    def _update(self, images: Batch, players: tuple[str, ...], index: int) -> dict[str, tf.Tensor]:
        """After a power iteration on each network that is to be moved."""
        for player in set(players).intersection(self.normalised_players):
            getattr(self, player).iterate()
        return super()._update(images, players, index)
