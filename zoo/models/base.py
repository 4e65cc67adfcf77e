"""What all models share in training: players and their updates.

Each player has one network, one optimiser and one loss. A subclass writes

    losses(images, noise, training) -> (one scalar per player, a report of per-example terms)

and reads like its equations; everything about tapes, optimisers, replicas and metrics is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo.config import ALL_PLAYERS, ModelConfig
from zoo.errors import UsageError
from zoo.models.inference import LatentVariableModel
from zoo.noise import Noise, step_noise

Losses = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]


class GenerativeModel(LatentVariableModel):
    """Base of every model of the zoo.

    Beside what `LatentVariableModel` asks for, subclasses state `terms` (the names of the report)
    and `learning_rates` (one default per player). A model whose critic is updated several times per
    step names it in `repeated_players` and has the option `critic_updates`.
    """

    terms: tuple[str, ...] = ()
    learning_rates: Mapping[str, float] = {}
    repeated_players: tuple[str, ...] = ()

    def __init__(self, config: ModelConfig, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(config, image_shape, **kwargs)
        self._build_bookkeeping()
        self.built = True

    def losses(self, images: tf.Tensor, noise: Noise, training: bool = True) -> Losses:
        """The equations of the model.

        Args:
            images: `[N, H, W, C]` in [0, 1].
            noise: where all randomness comes from.
            training: False evaluates the same terms without touching batch statistics.

        Returns:
            One scalar loss per player, and the per-example `[N]` report `terms`.
        """
        raise NotImplementedError

    def _build_bookkeeping(self) -> None:
        """The step counter, the record of faults and the trackers of the metrics."""
        self.optimizers = {}  # by player, once compiled
        self.step = self.add_weight(
            name="step",
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.checks = tuple(f"{kind} of {p}" for p in self.players for kind in ("loss", "gradient"))
        self.checks += tuple(f"term {t}" for t in self.terms)
        # Step of the first non-finite value of each check; 0 while there is none.
        self.faults = self.add_weight(
            name="faults",
            shape=(len(self.checks),),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        names = [f"{player}_loss" for player in self.players] + list(self.terms)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def compile(
        self,
        learning_rate: Mapping[str, float] | None = None,
        seed: int = 0,
        jit_compile: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Gives each player its Adam (beta 0.5 and 0.9 [P], epsilon 1e-8 chosen), built on its
        variables.

        Call it inside the strategy's scope.

        Args:
            learning_rate: rates by player, or one for all under "all"; the model's own for the
            rest. seed: the run seed, from which all noise follows. jit_compile: compile the train
            step with XLA. steps_per_execution: steps per call of the compiled function.

        Raises:
            UsageError: a rate for a player that this model does not have.
        """
        rates = self.resolve_learning_rate(learning_rate or {})
        super().compile(
            optimizer=None, jit_compile=jit_compile, steps_per_execution=steps_per_execution
        )
        self.seed = seed
        for player in self.players:
            optimizer = keras.optimizers.Adam(rates[player], beta_1=0.5, beta_2=0.9, epsilon=1e-8)
            # Slots made inside the traced step would fail under a strategy, and a restored
            # checkpoint would find nowhere to put its own.
            optimizer.build(self.player_variables(player))
            self.optimizers[player] = optimizer

    @classmethod
    def resolve_learning_rate(cls, rates: Mapping[str, float]) -> dict[str, float]:
        """One rate per player; raises `UsageError` for a player that this model does not have."""
        unknown = set(rates) - set(cls.players) - {ALL_PLAYERS}
        if unknown:
            raise UsageError(
                f"learning_rate names the player {sorted(unknown)[0]!r}: "
                f"expected {', '.join(cls.players)}"
            )
        everyone = rates.get(ALL_PLAYERS)
        return {p: rates.get(p, everyone or cls.learning_rates[p]) for p in cls.players}

    @property
    def passes(self) -> int:
        """Fresh batches per step: one, or as many as the critic has updates."""
        return self.critic_updates if self.repeated_players else 1

    def train_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of every player, `repeated_players` several.

        Args:
            images: `[N, H, W, C]` in [0, 1]; with several passes `[N, passes, H, W, C]`.
        """
        self.step.assign_add(1)
        for i in range(self.passes - 1):
            self._update(images[:, i], self.repeated_players, i)
        last = self.passes - 1
        return self._update(images[:, last] if last else images, self.players, last)

    def _update(
        self, images: tf.Tensor, players: tuple[str, ...], index: int
    ) -> dict[str, tf.Tensor]:
        """One update of `players` from one forward pass, the `index`-th of this step."""
        draw = self.step.value * self.passes + index
        noise = step_noise(self.seed, draw, _rows(images))
        with tf.GradientTape(persistent=True) as tape:
            losses, report = self.losses(images, noise, training=True)
            # Gradients are summed over replicas. Players that share a loss keep sharing it.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            shares = {id(loss): loss / replicas for loss in losses.values()}
            scaled = {player: shares[id(losses[player])] for player in players}
        gradients = self._player_gradients(tape, scaled)
        self._record_faults(losses, gradients, report)
        for player in players:
            self.optimizers[player].apply(gradients[player], self.player_variables(player))
        return self._track(losses, report)

    def test_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The losses and terms of the current step's noise, in inference mode."""
        noise = step_noise(self.seed, self.step.value, _rows(images))
        return self._track(*self.losses(images, noise, training=False))

    def _player_gradients(
        self, tape: tf.GradientTape, losses: Mapping[str, tf.Tensor]
    ) -> dict[str, list[tf.Tensor]]:
        """Each player's gradient of its own loss; players that share a loss share a backward
        pass."""
        gradients = {}
        for key in dict.fromkeys(map(id, losses.values())):
            sharing = [player for player, loss in losses.items() if id(loss) == key]
            variables = {p: [v.value for v in self.player_variables(p)] for p in sharing}
            gradients |= tape.gradient(losses[sharing[0]], variables)
        return gradients

    def _record_faults(self, losses: Any, gradients: Any, report: Any) -> None:
        """Remembers the step of the first non-finite value of each check."""
        sums = []
        for player in self.players:
            # A sum is finite exactly where all its terms are, short of overflow.
            moved = gradients.get(player, ())
            sums += [losses[player], tf.add_n([tf.reduce_sum(g) for g in moved] or [0.0])]
        sums += [tf.reduce_sum(report[term]) for term in self.terms]
        # A TPU reduces int32 over its replicas, but not int64.
        bad = tf.cast(~tf.math.is_finite(tf.stack(sums)), tf.int32)
        bad = tf.distribute.get_replica_context().all_reduce("sum", bad)
        first = (self.faults.value == 0) & (bad > 0)
        self.faults.assign(tf.where(first, self.step.value, self.faults.value))

    def _track(self, losses: Any, report: Any) -> dict[str, tf.Tensor]:
        if set(report) != set(self.terms) or set(losses) != set(self.players):
            raise ValueError(
                f"{self.name}.losses returned {sorted(losses)} and {sorted(report)}; "
                f"it declares {sorted(self.players)} and {sorted(self.terms)}"
            )
        for player, loss in losses.items():
            self.trackers[f"{player}_loss"].update_state(loss)
        for term, values in report.items():
            self.trackers[term].update_state(values)
        strategy = tf.distribute.get_strategy()
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras's trainer reduces every result over the workers, at every step, and along a
            # first axis that a scalar does not have (keras-team/keras#20585). It gets one number
            # that has it; `results` reduces the metrics where they are wanted.
            return {"step": tf.cast(self.step.value, tf.float32)[None]}
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def results(self) -> dict[str, float]:
        """The metrics since `reset_metrics`, over all replicas. All workers call it together."""
        return {name: float(tracker.result()) for name, tracker in self.trackers.items()}

    @property
    def state(self) -> list[keras.Variable]:
        """All that training changes and a checkpoint holds."""
        parts = [*(getattr(self, player) for player in self.players), *self.optimizers.values()]
        return [self.step, *(variable for part in parts for variable in part.variables)]


def _rows(images: tf.Tensor) -> int | tf.Tensor:
    """The batch size: static where it is known, which XLA on a TPU needs."""
    return images.shape[0] or tf.shape(images)[0]
