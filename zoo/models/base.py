"""What all models share: settings, players and their updates.

Each player has one network, one optimiser and one loss. A subclass writes

    losses(images, noise, training) -> (one scalar per player, a report of per-example terms)

and reads like its equations; everything about tapes, optimisers, replicas and metrics is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from zoo.config import ALL_PLAYERS, ModelConfig, TrainingConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.losses import after
from zoo.models.adam import Adam
from zoo.models.door import shape_of
from zoo.models.keras_model import KerasModel
from zoo.models.optimizers import Rate, clipped
from zoo.models.settings import keras_settings
from zoo.networks.own import OwnNetworks
from zoo.noise import Noise, batch_rows, row_noise, row_seed_tensor, step_noise
from zoo.options import Option
from zoo.registry import INSTRUMENTS, MODELS

Losses = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
Batch: TypeAlias = tf.Tensor | tuple[tf.Tensor, tf.Tensor]


class PlayerModel(KerasModel):
    """Base of everything that the zoo trains: the generative models and the classifier.

    Subclasses state, as class attributes, `players` (one network each; `players_of` where settings
    bring others), `terms` (the names of the report), `options` (their own settings) and
    `learning_rates` (one default per player). `higher_is_better` names the terms of which that is
    so; of all others, and of losses, lower is. A model some of whose players are updated several
    times per step names them in `repeated_players`, and in `updates_option` its option that says
    how often; one that learns from classes says `needs_labels`; one whose losses mean nothing for
    a single image states its `least_batch_size`.

    The initial weights follow from `seed`: the global seeds of Python, NumPy and TensorFlow are
    set, from which Keras draws them.

    Args:
        dataset: one of `DATASETS` whose images have a shape of their own; `color_mnist_mini` where
            no `image_shape` is given either.
        image_shape: `(H, W, C)`.
        seed: of the initial weights.
        dtype_policy: "float32" or "mixed_bfloat16".
        name: Keras's; the model's in the registry by default.
        **settings: of `zoo.config.ModelConfig`; the model's own default for the rest.

    Raises:
        UsageError: a setting is unknown or does not apply to this model, the shape is none of
            images, or Keras runs on another backend than TensorFlow.
    """

    terms: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    learning_rates: Mapping[str, float] = {}
    higher_is_better: tuple[str, ...] = ("elbo", "elbo_ratio_estimate", "log_likelihood")
    repeated_players: tuple[str, ...] = ()
    updates_option = "critic_updates"
    least_batch_size = 1
    own: OwnNetworks | None = None  # of a generative model

    def __init__(
        self,
        *,
        dataset: str | None = None,
        image_shape: tuple[int, int, int] | None = None,
        seed: int = 0,
        dtype_policy: str = "float32",
        name: str | None = None,
        **settings: Any,
    ):
        if keras.backend.backend() != "tensorflow":
            raise UsageError(
                f"Keras runs on {keras.backend.backend()}: the zoo needs KERAS_BACKEND=tensorflow, "
                "set before Keras is imported"
            )
        config = ModelConfig.create(model=self.registered_name(), **settings)
        shape = shape_of(dataset, image_shape)
        training = TrainingConfig(seed=seed, dtype_policy=dtype_policy)
        keras.utils.set_random_seed(training.seed)
        with keras_settings(training.dtype_policy):
            # Images come in float32, whatever the networks compute in.
            super().__init__(name=name or config.model, autocast=False)
            self.image_shape = shape
            self.initial_seed = training.seed
            self.config = self.resolve(config, shape, self.own)
            self.players = self.players_of(self.config)
            for option in self.options:
                setattr(self, option.name, getattr(self.config, option.name))
            self._build_networks()
            self._build_bookkeeping()
        self.built = True

    @classmethod
    def registered_name(cls) -> str:
        """Its name, or that of the model that it extends, in the registry."""
        names = {path: name for name, path in (MODELS | INSTRUMENTS).items()}
        paths = (f"{c.__module__}.{c.__qualname__}" for c in cls.__mro__)
        return next((names[path] for path in paths if path in names), cls.__name__)

    # ---- Settings ------------------------------------------------------------------------------

    @classmethod
    def defaults(
        cls, image_shape: tuple[int, int, int], network: str | None, own: OwnNetworks | None
    ) -> dict[str, Any]:
        """The settings that apply to this model on such images, beside `width`, with defaults."""
        return {option.name: option.default for option in cls.options}

    @classmethod
    def resolve(
        cls, config: ModelConfig, image_shape: tuple[int, int, int], own: OwnNetworks | None = None
    ) -> ModelConfig:
        """`config` with every None that this model has a default for filled in.

        Raises:
            UsageError: a setting does not apply to this model.
        """
        defaults = cls.defaults(image_shape, config.network, own)
        filled: dict[str, Any] = {}
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if value is None:
                filled[field.name] = defaults.get(field.name)
            elif field.name not in {"model", "width", *defaults}:
                has = ", ".join(sorted(defaults)) or "none"
                raise UsageError(
                    f"{config.model} has no option {field.name} (given {value!r}); it has: {has}"
                )
        return config.replace(**filled)

    @classmethod
    def players_of(cls, config: ModelConfig) -> tuple[str, ...]:
        """The players with these settings, which are resolved."""
        return cls.players

    @classmethod
    def resolve_for(
        cls, config: ModelConfig, dataset: ImageDataset, own: OwnNetworks | None = None
    ) -> ModelConfig:
        """`resolve` for the images, and where they matter the classes, of an `ImageDataset`."""
        return cls.resolve(config, dataset.image_shape, own)

    def get_config(self) -> dict[str, Any]:
        """JSON-able arguments of the constructor."""
        return {
            "image_shape": list(self.image_shape),
            "seed": self.initial_seed,
            "dtype_policy": self.dtype_policy.name,
            "name": self.name,
            **self.config.chosen(),
        }

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
        alone = context is None or context.num_replicas_in_sync == 1  # None in a callback
        if alone:
            return rows
        # Some strategies' gathering forgets the static shape of a row.
        return tf.ensure_shape(context.all_gather(rows, axis=0), [None, *rows.shape[1:]])

    def _build_bookkeeping(self) -> None:
        """The step counter, the record of faults and the trackers of the metrics."""
        self.optimizers = {}
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

    def make_optimizer(self, learning_rate: Rate) -> keras.optimizers.Optimizer:
        """A new optimiser of a player: Adam, beta 0.5 and 0.9 [P], epsilon 1e-8 (chosen)."""
        return Adam(learning_rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8)

    @classmethod
    def resolve_learning_rate(
        cls, rates: Mapping[str, Rate], players: tuple[str, ...] | None = None
    ) -> dict[str, Rate]:
        """One rate for each of these players, by default `players` of the class.

        Raises:
            UsageError: a rate is for none of them.
        """
        players = cls.players if players is None else players
        unknown = set(rates) - set(players) - {ALL_PLAYERS}
        if unknown:
            raise UsageError(
                f"learning_rate names the player {sorted(unknown)[0]!r}: "
                f"expected {', '.join(players)}"
            )
        everyone = rates.get(ALL_PLAYERS)
        return {p: rates.get(p, everyone or cls.learning_rates[p]) for p in players}

    @property
    def passes(self) -> int:
        """Fresh batches per step: one, or as many as `repeated_players` have updates."""
        return getattr(self, self.updates_option) if self.repeated_players else 1

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update of every player, `repeated_players` several.

        Args:
            data: images `[N, H, W, C]`, alone or with labels. Several passes share them out; as
                `[N, passes, H, W, C]` they are so already.
        """
        self.step.assign_add(1)
        *first, last = self._shares(self._batch(data))
        for i, batch in enumerate(first):
            self._update(batch, self.repeated_players, i)
        logs = self._update(last, self.players, len(first))
        if self.averages is not None:
            self.averages.update(self.step)
        return logs

    def _shares(self, batch: Batch) -> list[Batch]:
        """The batch of each pass, of one size: where they do not go into the rows, the first rows
        serve twice."""
        passes = self.passes
        if passes == 1:
            return [batch]
        if tf.nest.flatten(batch)[0].shape.rank == len(self.image_shape) + 2:
            return [
                tf.nest.map_structure(lambda part, i=i: part[:, i], batch) for i in range(passes)
            ]
        rows = batch_rows(batch)
        size = -(-rows // passes)
        shares = tf.split(tf.range(size * passes) % rows, passes)
        return [
            tf.nest.map_structure(lambda part, share=share: tf.gather(part, share), batch)
            for share in shares
        ]

    def _update(self, images: Batch, players: tuple[str, ...], index: int) -> dict[str, tf.Tensor]:
        """One update of `players` from one forward pass, the `index`-th of this step."""
        draw = self.step.value * self.passes + index
        noise = step_noise(self.seed, draw, batch_rows(images))
        with tf.GradientTape(persistent=True) as tape:
            losses, report = self.losses(images, noise, training=True)
        # Gradients are summed over replicas.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        seed = after(losses.values(), 1.0 / replicas)
        gradients = self._player_gradients(tape, {p: losses[p] for p in players}, seed)
        self._record_faults(losses, gradients, report)
        for player in players:
            moved = gradients[player]
            moved = moved if self.clip_norm is None else clipped(moved, self.clip_norm)
            self.optimizers[player].apply(moved, self.player_variables(player))
        return self._track(losses, report)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The losses and terms in inference mode. Each image of an evaluation has the noise of its
        place among them all, whatever the batches, as in the validation of a run."""
        batch = self._batch(data)
        rows, context = batch_rows(batch), tf.distribute.get_replica_context()
        seen = tf.cast(self.trackers[self.terms[0]].count, tf.int32)
        first = seen * context.num_replicas_in_sync + context.replica_id_in_sync_group * rows
        noise = row_noise(row_seed_tensor(self.seed, first, rows))
        return self._track(*self.losses(batch, noise, training=False))

    def _player_gradients(
        self, tape: tf.GradientTape, losses: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> dict[str, list[tf.Tensor]]:
        """Each player's gradient of its own loss, times `seed`; players that share a loss share a
        backward pass."""
        gradients: dict[str, list[tf.Tensor]] = {}
        for key in dict.fromkeys(map(id, losses.values())):
            sharing = [player for player, loss in losses.items() if id(loss) == key]
            variables = {p: [v.value for v in self.player_variables(p)] for p in sharing}
            gradients |= tape.gradient(losses[sharing[0]], variables, seed)
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
        # By rows, as terms are: the last batch of an epoch may be smaller.
        rows = tf.cast(tf.shape(report[self.terms[0]])[0], tf.float32)
        for player, loss in losses.items():
            self.trackers[f"{player}_loss"].update_state(loss, sample_weight=rows)
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
