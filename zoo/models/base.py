"""What all models share: settings, players and their updates.

Each player has one network, one optimiser and one loss. A subclass writes

    losses(images, noise, training) -> (one scalar per player, a report of per-example terms)

and reads like its equations; everything about tapes, optimisers, replicas and metrics is here.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from zoo.config import ALL_PLAYERS, ModelConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError, reason
from zoo.models.door import OUT_OF_RANGE, take_batches
from zoo.models.settings import keras_settings
from zoo.noise import Noise, step_noise
from zoo.options import Option
from zoo.state import OPTIMIZER, fingerprint, stable_names

Losses = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
Batch: TypeAlias = tf.Tensor | tuple[tf.Tensor, tf.Tensor]


class PlayerModel(keras.Model):
    """Base of everything that the zoo trains: the generative models and the classifier.

    Subclasses state, as class attributes, `players` (one network each), `terms` (the names of the
    report), `options` (their own settings) and `learning_rates` (one default per
    player). A model whose critic is updated several times per step names it in `repeated_players`
    and has the option `critic_updates`; one that learns from classes says `needs_labels`.

    Args:
        config: the model's settings; those left at None take the model's defaults.
        image_shape: `(H, W, C)`.

    Raises:
        UsageError: a setting does not apply to this model.
    """

    players: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    learning_rates: Mapping[str, float] = {}
    repeated_players: tuple[str, ...] = ()
    needs_labels = False

    def __init__(self, config: ModelConfig, image_shape: tuple[int, int, int], **kwargs: Any):
        super().__init__(name=config.model, **kwargs)
        height, width, channels = image_shape
        self.image_shape = height, width, channels
        self.config = self.resolve(config, self.image_shape)
        for option in self.options:
            setattr(self, option.name, getattr(self.config, option.name))
        self._build_networks()
        self._build_bookkeeping()
        self.built = True

    # ---- Settings ------------------------------------------------------------------------------

    @classmethod
    def defaults(
        cls, image_shape: tuple[int, int, int], network: str | None = None
    ) -> dict[str, Any]:
        """The settings that apply to this model on such images, beside `width`, with defaults."""
        return {option.name: option.default for option in cls.options}

    @classmethod
    def resolve(cls, config: ModelConfig, image_shape: tuple[int, int, int]) -> ModelConfig:
        """`config` with every None that this model has a default for filled in.

        Raises:
            UsageError: a setting does not apply to this model.
        """
        defaults = cls.defaults(image_shape, config.network)
        filled: dict[str, Any] = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if value is None:
                filled[field.name] = defaults.get(field.name)
            elif field.name not in {"model", "width", *defaults}:
                own = ", ".join(sorted(defaults)) or "none"
                raise UsageError(
                    f"{config.model} has no option {field.name} (given {value!r}); it has: {own}"
                )
        return config.replace(**filled)

    @classmethod
    def resolve_for(cls, config: ModelConfig, dataset: ImageDataset) -> ModelConfig:
        """`resolve` for the images, and where they matter the classes, of an `ImageDataset`."""
        return cls.resolve(config, dataset.image_shape)

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {"config": dataclasses.asdict(self.config), "image_shape": list(self.image_shape)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PlayerModel:
        """The inverse of `get_config`."""
        return cls(ModelConfig(**config["config"]), tuple(config["image_shape"]))

    def _build_networks(self) -> None:
        """One network per player, as the attribute of its name."""
        raise NotImplementedError

    def player_variables(self, player: str) -> list[keras.Variable]:
        """The trainable variables that this player's loss moves, and no other's."""
        return getattr(self, player).trainable_variables

    @property
    def available_signatures(self) -> tuple[str, ...]:
        """The signatures of the export that this model can honour."""
        return ()

    # ---- Keras's own methods -------------------------------------------------------------------

    def fit(self, x: Any = None, *args: Any, validation_data: Any = None, **kwargs: Any) -> Any:
        """As Keras's, on images uint8 or floats in [0, 1]: an array, or a `tf.data.Dataset`.

        Raises:
            UsageError: images are not what they have to be, before the first step where that can
                be seen without reading a data set to its end.
        """
        with self._door():
            if isinstance(validation_data, tuple):
                validation_data = (self._take(validation_data[0]), *validation_data[1:])
            else:
                validation_data = self._take(validation_data)
            return super().fit(self._take(x), *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's, on what `fit` takes."""
        with self._door():
            return super().evaluate(self._take(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's, on what `fit` takes."""
        with self._door():
            return super().predict(self._take(x), *args, **kwargs)

    def _take(self, data: Any) -> Any:
        passes = (self.passes,) if self.passes > 1 else ()
        return take_batches(data, (*passes, *self.image_shape))

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        """Keras's methods under the zoo's settings, with one line where a data set is refused."""
        try:
            with keras_settings():
                yield
        except tf.errors.InvalidArgumentError as error:
            if OUT_OF_RANGE not in error.message:
                raise
            raise UsageError(reason(error)) from None

    # ---- Training ------------------------------------------------------------------------------

    def losses(self, images: Batch, noise: Noise, training: bool = True) -> Losses:
        """The equations of the model.

        Args:
            images: `[N, H, W, C]` in [0, 1]; a model that `needs_labels` gets the pair of them and
                `labels [N]`.
            noise: where all randomness comes from.
            training: False evaluates the same terms without touching batch statistics.

        Returns:
            One scalar loss per player, and the per-example `[N]` report `terms`.
        """
        raise NotImplementedError

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """The rows of all replicas `[global N, ...]`, in the order of the global batch.

        For a loss that is a statistic of the whole batch, not a mean over its examples: every
        replica computes the same one from the same rows. Gradients flow back through all replicas'
        losses to the own rows, so that their sum over replicas, of which each loss is a share, is
        the gradient of one loss of the global batch. One replica has all rows already.

        Args:
            rows: `[N, ...]` of this replica.
        """
        context = tf.distribute.get_replica_context()
        return rows if context.num_replicas_in_sync == 1 else context.all_gather(rows, axis=0)

    def _build_bookkeeping(self) -> None:
        """The step counter, the record of faults and the trackers of the metrics."""
        self.optimizers: dict[str, keras.optimizers.Optimizer] = {}  # by player, once compiled
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
        """Gives each player its optimiser, built on its variables.

        Call it inside the strategy's scope.

        Args:
            learning_rate: rates by player, or one for all under "all"; the model's own for the
                rest.
            seed: the run seed, from which all noise follows.
            jit_compile: compile the train step with XLA.
            steps_per_execution: steps per call of the compiled function.

        Raises:
            UsageError: a rate for a player that this model does not have.
        """
        rates = self.resolve_learning_rate(learning_rate or {})
        super().compile(
            optimizer=None, jit_compile=jit_compile, steps_per_execution=steps_per_execution
        )
        self.seed = seed
        with keras_settings():
            for player in self.players:
                optimizer = self.make_optimizer(rates[player])
                # Slots made inside the traced step would fail under a strategy, and a restored
                # checkpoint would find nowhere to put its own.
                optimizer.build(self.player_variables(player))
                self.optimizers[player] = optimizer

    def make_optimizer(self, learning_rate: float) -> keras.optimizers.Optimizer:
        """A new optimiser of a player: Adam, beta 0.5 and 0.9 [P], epsilon 1e-8 (chosen)."""
        return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)

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

    def train_step(self, images: Batch) -> dict[str, tf.Tensor]:
        """One update of every player, `repeated_players` several.

        Args:
            images: as `losses` takes them; with several passes `[N, passes, H, W, C]`.
        """
        self.step.assign_add(1)
        for i in range(self.passes - 1):
            self._update(_pass(images, i), self.repeated_players, i)
        last = self.passes - 1
        return self._update(_pass(images, last) if last else images, self.players, last)

    def _update(self, images: Batch, players: tuple[str, ...], index: int) -> dict[str, tf.Tensor]:
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

    def test_step(self, images: Batch) -> dict[str, tf.Tensor]:
        """The losses and terms of the current step's noise, in inference mode."""
        noise = step_noise(self.seed, self.step.value, _rows(images))
        return self._track(*self.losses(images, noise, training=False))

    def _player_gradients(
        self, tape: tf.GradientTape, losses: Mapping[str, tf.Tensor]
    ) -> dict[str, list[tf.Tensor]]:
        """Each player's gradient of its own loss; players that share a loss share a backward
        pass."""
        gradients: dict[str, list[tf.Tensor]] = {}
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
    def state(self) -> dict[str, keras.Variable]:
        """All that training changes and a checkpoint holds, by names that are the same in every
        process: the step, the weights of the networks and, once compiled, the optimisers."""
        optimizers = {
            f"{OPTIMIZER}{player}/{i}": variable  # their slots follow the player's variables
            for player, optimizer in self.optimizers.items()
            for i, variable in enumerate(optimizer.variables)
        }
        return {"step": self.step, **self._network_state, **optimizers}

    @property
    def _network_state(self) -> dict[str, keras.Variable]:
        state: dict[str, keras.Variable] = {}
        for player in self.players:
            variables = getattr(self, player).variables
            names = stable_names([variable.path for variable in variables])
            state |= {f"{player}/{n}": v for n, v in zip(names, variables, strict=True)}
        return state

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell these weights of the networks from all others."""
        return fingerprint({name: v.numpy() for name, v in self._network_state.items()})


def _pass(images: Batch, index: int) -> Batch:
    """The batch of one of several passes."""
    return tf.nest.map_structure(lambda part: part[:, index], images)


def _rows(images: Batch) -> int | tf.Tensor:
    """The batch size: static where it is known, which XLA on a TPU needs."""
    images = tf.nest.flatten(images)[0]
    return images.shape[0] or tf.shape(images)[0]
