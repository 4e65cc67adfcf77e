"""The optimisers of the players, from what `compile` is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from zoo.config import ALL_PLAYERS, parse_learning_rate
from zoo.errors import UsageError

Schedule = keras.optimizers.schedules.LearningRateSchedule
Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule

EXPECTED = (
    "expected compile(learning_rate=1e-3), or compile(optimizers={'decoder': "
    "keras.optimizers.Adam(1e-3), ...})"
)


@dataclasses.dataclass(frozen=True)
class Choice:
    """What `compile` was given, so that it can be saved and given again.

    Attributes:
        rates: by player, or one for all under "all", for the model's own kind of optimiser.
        optimizers: by player, the caller's own.
        others: further arguments of `compile`, JSON-able.
    """

    rates: Mapping[str, Rate]
    optimizers: Mapping[str, keras.optimizers.Optimizer]
    others: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The arguments as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            "learning_rate": {
                p: serialize(r) if isinstance(r, Schedule) else r for p, r in self.rates.items()
            },
            "optimizers": {p: serialize(o) for p, o in self.optimizers.items()},
            **self.others,
        }


def from_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile` that `Choice.to_json` wrote."""
    revived = {
        name: {
            player: keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part
            for player, part in config[name].items()
        }
        for name in ("learning_rate", "optimizers")
    }
    return {**config, **revived}


def rates_by_player(value: Any) -> dict[str, Rate]:
    """One rate, or one per player, each a positive number or a schedule, as a mapping.

    Raises:
        UsageError: it is neither.
    """
    if value is None:
        return {}
    pairs = value if isinstance(value, Mapping) else {ALL_PLAYERS: value}
    optimizers = keras.optimizers.Optimizer
    if isinstance(value, str) or any(isinstance(rate, optimizers) for rate in pairs.values()):
        raise one_optimizer(value)
    numbers = {p: rate for p, rate in pairs.items() if not isinstance(rate, Schedule)}
    return {**pairs, **(parse_learning_rate(numbers) if numbers else {})}


def own_optimizers(
    given: Mapping[str, Any] | None, players: tuple[str, ...]
) -> tuple[dict[str, keras.optimizers.Optimizer], dict[str, Rate]]:
    """What `compile(optimizers=...)` is given, as optimisers and, for the model's own kind of
    optimiser, rates.

    Raises:
        UsageError: a player is unknown, an optimiser is none, one serves two players, or one scales
            losses or averages weights, which here are not its to do.
    """
    if given is not None and not isinstance(given, Mapping):
        raise one_optimizer(given)
    chosen: dict[str, keras.optimizers.Optimizer] = {}
    rates: dict[str, Any] = {}
    for player, value in (given or {}).items():
        if player not in players:
            raise UsageError(
                f"optimizers names the player {player!r}: expected {', '.join(players)}"
            )
        if isinstance(value, str):
            try:
                value = keras.optimizers.get(value)
            except ValueError:
                raise UsageError(
                    f"optimizers={{{player!r}: {value!r}}} is not accepted: expected the name of "
                    "one of Keras's optimisers, an optimiser, a schedule or a rate"
                ) from None
        if not isinstance(value, keras.optimizers.Optimizer):
            rates[player] = value
            continue
        sharing = [other for other, optimizer in chosen.items() if optimizer is value]
        if sharing:
            raise UsageError(
                f"optimizers gives {sharing[0]} and {player} one {type(value).__name__}: expected "
                "an optimiser for each"
            )
        scales = isinstance(value, keras.optimizers.LossScaleOptimizer) or value.loss_scale_factor
        if scales or value.use_ema:
            instead = "mixed_bfloat16 needs no scale" if scales else "compile(ema_decay=0.999) does"
            raise UsageError(
                f"the {type(value).__name__} for {player} "
                f"{'scales its loss' if scales else 'averages weights'}: expected one that does "
                f"not; {instead}"
            )
        chosen[player] = value
    return chosen, rates_by_player(rates)


def one_optimizer(value: Any) -> UsageError:
    """What `compile` answers to one optimiser for all."""
    shown = repr(value) if isinstance(value, str) else type(value).__name__
    return UsageError(
        f"one optimiser, {shown}, is not accepted: each player has its own; {EXPECTED}"
    )


def alike(one: keras.optimizers.Optimizer, other: keras.optimizers.Optimizer) -> bool:
    """Whether both are of one kind with one configuration."""
    configs = [
        keras.saving.serialize_keras_object(optimizer)["config"] for optimizer in (one, other)
    ]
    # In their names Keras counts the optimisers of the process.
    return type(one) is type(other) and {**configs[0], "name": ""} == {**configs[1], "name": ""}


def clipped(gradients: Sequence[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """A replica's gradients, scaled so that their sum over all replicas has at most this global
    norm. Keras's `global_clipnorm` would scale each replica's share by its own norm, so that two
    replicas would train otherwise than one."""
    context = tf.distribute.get_replica_context()
    total = context.all_reduce("sum", list(gradients))
    factor = norm / tf.maximum(tf.linalg.global_norm(total), norm)
    return [gradient * factor for gradient in gradients]
