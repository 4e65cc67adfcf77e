"""What a model's state is: all that training changes, by names."""

from __future__ import annotations

import keras

from zoo.models.averages import Averages
from zoo.state import AVERAGE, OPTIMIZER, fingerprint, stable_names


class StatefulModel(keras.Model):
    """A model of players, whose variables have the same names in every process."""

    players: tuple[str, ...] = ()
    averages: Averages | None = None  # of the weights, once compiled with `ema_decay`
    optimizers: dict[str, keras.optimizers.Optimizer]  # by player, once compiled
    step: keras.Variable

    @property
    def state(self) -> dict[str, keras.Variable]:
        """All that training changes and a checkpoint holds, by names that are the same in every
        process: the step, the weights of the networks and, once compiled, their averages and the
        optimisers."""
        optimizers = {
            f"{OPTIMIZER}{player}/{i}": variable  # their slots follow the player's variables
            for player, optimizer in self.optimizers.items()
            for i, variable in enumerate(optimizer.variables)
        }
        averages = self.averages.variables if self.averages else {}
        averages = {AVERAGE + name: variable for name, variable in averages.items()}
        return {"step": self.step, **self.network_state, **averages, **optimizers}

    def path(self, variable: keras.Variable) -> str:
        """Of a variable of a network, the same in every process but for the counters of layers."""
        return variable.path

    @property
    def parts(self) -> dict[str, keras.Layer]:
        """What has weights, by name: the networks of the players."""
        return {player: getattr(self, player) for player in self.players}

    @property
    def network_state(self) -> dict[str, keras.Variable]:
        """The weights of the networks, by the same names."""
        state: dict[str, keras.Variable] = {}
        for part, network in self.parts.items():
            variables = network.variables
            names = stable_names([self.path(variable) for variable in variables])
            state |= {f"{part}/{n}": v for n, v in zip(names, variables, strict=True)}
        return state

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell these weights of the networks from all others."""
        return fingerprint({name: v.numpy() for name, v in self.network_state.items()})
