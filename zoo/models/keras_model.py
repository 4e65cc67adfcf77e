"""What Keras promises of a model, kept by a model of several players.

Everything here is Keras's own method under Keras's own name: what differs is said in its docstring.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo.config import TrainingConfig
from zoo.errors import UsageError, reason
from zoo.files import usable_path
from zoo.models.averages import Averages
from zoo.models.door import (
    OUT_OF_RANGE,
    UNEVEN,
    check_shares,
    is_array,
    take_batches,
    take_images,
)
from zoo.models.optimizers import (
    EXPECTED,
    Choice,
    alike,
    from_json,
    one_optimizer,
    own_optimizers,
    rates_by_player,
)
from zoo.models.schedules import CONSTANT, scheduled
from zoo.models.settings import keras_settings
from zoo.models.stateful import StatefulModel
from zoo.saved_model.signatures import signature_functions
from zoo.saved_model.writer import write_saved_model
from zoo.settings import check_seed


class KerasModel(StatefulModel):
    """A `keras.Model` of images `[N, H, W, C]`, uint8 or floats in [0, 1].

    Images are checked at every door: what is none raises `UsageError` in one line, before the first
    step where that can be seen without reading a data set to its end. Labels that come along are
    left out by a model that learns from images alone; weights of examples are refused.
    """

    repeated_players: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = CONSTANT  # of learning rates; see `zoo.models.schedules`
    clip_norm: float | None = None
    needs_labels = False
    image_shape: tuple[int, int, int]

    @property
    def passes(self) -> int:
        """Batches that a step takes."""
        return 1

    # ---- Images --------------------------------------------------------------------------------

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        """`call` of images that are checked."""
        if not isinstance(images, keras.KerasTensor):
            images = self.take_images(images)
        return super().__call__(images, *args, **kwargs)

    def take_images(self, images: Any) -> tf.Tensor:
        """What its functions make of images that they are given; see `zoo.models.door`."""
        return take_images(images, self.image_shape)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As Keras's, on an array or a `tf.data.Dataset` of batches.

        A model with several updates of a player per step (WGAN-GP's critic: five) takes as many
        fresh batches for each of its steps: `batch_size` images each, or so many consecutive
        batches of a data set, so that an epoch has fewer steps. Where an epoch ends amid a step,
        its images are spread over the updates, some of them twice.

        Raises:
            UsageError: beside what every method raises, several replicas cannot share each batch
                alike.
        """
        if isinstance(validation_data, tuple):
            images, labels = (*validation_data, None)[:2]
            validation_data = self._pair(self._take(images), labels, *validation_data[2:])
        else:
            validation_data = self._take(validation_data)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # of which Keras warns that it cannot
        elif is_array(x):
            batch_size = batch_size or 32  # Keras's own
            kwargs.setdefault("validation_batch_size", batch_size)
            batch_size *= self.passes
        replicas = self.distribute_strategy.num_replicas_in_sync
        with self._door(kwargs):
            return super().fit(
                check_shares(
                    self._take(x, self.passes), batch_size or 0, validation_split, replicas
                ),
                self._labels(y),
                batch_size,
                epochs,
                verbose,
                callbacks,
                validation_split,
                validation_data,
                **kwargs,
            )

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's: the losses and terms in inference mode, on what `fit` takes."""
        with self._door(kwargs):
            return super().evaluate(self._take(x), self._labels(y), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's: what `call` gives, row by row, on what `fit` takes."""
        with self._door(kwargs):
            return super().predict(self._rows_to_predict(self._take(x)), *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's. A player of several updates gets a part of the batch for each."""
        with self._door(kwargs):
            return super().train_on_batch(self._take(x), self._labels(y), *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's."""
        with self._door(kwargs):
            return super().test_on_batch(self._take(x), self._labels(y), *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """As Keras's."""
        with self._door({}):
            return super().predict_on_batch(self._rows_to_predict(self._take(x)))

    def _rows_to_predict(self, images: Any) -> Any:
        """What `predict_step` is given for images that are checked."""
        return images

    def _take(self, data: Any, passes: int = 1) -> Any:
        return take_batches(data, self.image_shape, passes, self.needs_labels)

    def _labels(self, labels: Any) -> Any:
        return labels if self.needs_labels else None

    def _pair(self, images: Any, labels: Any, *weights: Any) -> Any:
        if any(weight is not None for weight in weights):
            raise _weights_refused("validation_data")
        return (images, labels) if self.needs_labels else images

    def _batch(self, data: Any) -> Any:
        """What `losses` takes of what Keras hands to a step."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self.needs_labels and labels is None:
            raise UsageError(f"a {self.name} learns from labels: expected images and their labels")
        # Keras hands arrays to a step that runs eagerly.
        return tf.nest.map_structure(
            tf.convert_to_tensor, (images, labels) if self.needs_labels else images
        )

    @contextlib.contextmanager
    def _door(self, arguments: Mapping[str, Any]) -> Iterator[None]:
        """Keras's methods under the zoo's settings, with one line where a data set is refused."""
        for name in ("sample_weight", "class_weight"):
            if arguments.get(name) is not None:
                raise _weights_refused(name)
        try:
            with keras_settings():
                yield
        except tf.errors.InvalidArgumentError as error:
            if OUT_OF_RANGE not in error.message and UNEVEN not in error.message:
                raise
            raise UsageError(reason(error)) from None

    # ---- Optimisers ----------------------------------------------------------------------------

    def compile(
        self,
        learning_rate: Any = None,
        seed: int | None = None,
        jit_compile: bool = False,
        steps_per_execution: int = 1,
        *,
        optimizers: Mapping[str, Any] | None = None,
        schedule: Mapping[str, Any] | None = None,
        clip_norm: float | None = None,
        ema_decay: float = 0.0,
        run_eagerly: bool = False,
        **others: Any,
    ) -> None:
        """Gives each player its optimiser, built on its variables.

        Call it inside the strategy's scope. A player whose optimiser is of the model's own kind and
        already has these settings keeps it and its state: a model that was loaded and is compiled
        again goes on.

        Args:
            learning_rate: a number or a schedule for all, or a mapping with one per player; the
                model's own for the rest.
            seed: the run seed, from which all noise follows; that of the initial weights by
                default.
            jit_compile: compile the train step with XLA.
            steps_per_execution: steps per call of the compiled function.
            optimizers: by player, any of Keras's optimisers, or its name; a schedule or a rate
                stands for the model's own optimiser with it, which the rest have.
            schedule: how rates that are numbers change with the step, as
                `zoo.models.schedules.resolve_schedule` gives it; the model's own by default.
            clip_norm: the largest global norm of each player's gradient; None for no bound.
            ema_decay: of averages of the weights, see `averaged`; 0 for none.
            run_eagerly: run the steps without compiling them.

        Raises:
            UsageError: something is for a player that this model does not have, or is one
                optimiser, loss or metric for all.
        """
        self._refuse(others)
        given, others = own_optimizers(optimizers, self.players)
        rates = {**rates_by_player(learning_rate), **others}
        resolved = self.resolve_learning_rate(rates, self.players)
        self.seed = self.initial_seed if seed is None else check_seed(seed)
        how = {"jit_compile": jit_compile, "steps_per_execution": steps_per_execution}
        how["run_eagerly"] = run_eagerly
        checked = TrainingConfig(clip_norm=clip_norm, ema_decay=ema_decay)
        self.clip_norm, ema_decay = checked.clip_norm, checked.ema_decay
        further = {"schedule": schedule, "clip_norm": self.clip_norm, "ema_decay": ema_decay}
        super().compile(optimizer=None, **how)
        with keras_settings():
            for player in self.players:
                before = self.optimizers.get(player)
                optimizer = given.get(player)
                if optimizer is None:
                    updates = self.passes if player in self.repeated_players else 1
                    rate = scheduled(resolved[player], schedule or self.schedule, updates)
                    optimizer = self.make_optimizer(rate)
                    if before is not None and alike(before, optimizer):
                        continue
                if optimizer.built and optimizer is not before:
                    raise UsageError(
                        f"the {type(optimizer).__name__} for {player} has other variables already: "
                        "expected a new one"
                    )
                # Slots made inside the traced step would fail under a strategy, and a restored
                # checkpoint would find nowhere to put its own.
                optimizer.build(self.player_variables(player))
                self.optimizers[player] = optimizer
            if not ema_decay:
                self.averages = None
            elif self.averages is None or self.averages.decay != ema_decay:
                self.averages = Averages(self.network_state, ema_decay)
        self._choice = Choice(rates, given, {"seed": self.seed, **how, **further})

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the networks have their averaged weights, where there are any."""
        before = self.averages.swap_in() if self.averages else {}
        try:
            yield
        finally:
            if self.averages:
                self.averages.swap_out(before)

    def _refuse(self, others: Mapping[str, Any]) -> None:
        """What Keras's `compile` knows and a model of players does not."""
        for name, value in others.items():
            if name == "optimizer" and value is not None:
                raise one_optimizer(value)
            if value is not None:
                raise UsageError(
                    f"compile({name}=...) is not accepted: a {self.name} has losses and metrics of "
                    f"its own; {EXPECTED}"
                )

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as JSON; none before it was called."""
        return self._choice.to_json() if self.compiled else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """The inverse of `get_compile_config`."""
        self.compile(**from_json(config))

    @property
    def _further_state(self) -> dict[str, keras.Variable]:
        """Of layers that draw, as Dropout, and the averages of the weights."""
        states = [v for v in self.variables if v.name == "seed_generator_state"]
        averages = self.averages.variables.values() if self.averages else ()
        return {
            **{f"random_{i}": state for i, state in enumerate(states)},
            **{f"average_{i}": average for i, average in enumerate(averages)},
        }

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As Keras's, to a file of its own format.

        Raises:
            UsageError: the file is to be of another.
        """
        if kwargs.get("zipped") is not False and not str(filepath).endswith(".keras"):
            raise UsageError(
                f"filepath={str(filepath)!r} is not accepted: expected a name that ends in .keras; "
                "model.export writes a SavedModel"
            )
        super().save(filepath, *args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """As Keras's, with what Keras leaves out: the state of layers that draw, and averages."""
        super().save_own_variables(store)
        for name, state in self._further_state.items():
            store[name] = state.numpy()

    def load_own_variables(self, store: Any) -> None:
        """The inverse of `save_own_variables`."""
        further = self._further_state
        others = {name: store[name] for name in store.keys() if name not in further}  # noqa: SIM118
        super().load_own_variables(others)
        for name, state in further.items():
            state.assign(store[name])

    # ---- Others --------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[keras.Metric]:
        """The losses of the players and the terms."""
        return list(self.trackers.values())

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """As Keras's: a row for each network, with the shape of its output."""
        for player in self.players:
            network, shapes = getattr(self, player), self.input_shapes(player)
            # A class of ours, which no graph describes.
            if shapes and not getattr(network, "inputs", None):
                network(*map(keras.Input, shapes))
        super().summary(*args, **kwargs)

    def input_shapes(self, player: str) -> list[tuple[int, ...]]:
        """Of one row of each input of a player's network; none of one that takes no rows."""
        return [self.image_shape]

    def export(
        self, filepath: Any, format: str = "tf_saved_model", verbose: Any = None, **kwargs: Any
    ) -> None:
        """Writes a SavedModel with the zoo's signatures, which needs nothing of ours to be loaded.

        `zoo.export_run` writes a run's, with versions, a model card and, on demand, ONNX and
        LiteRT.

        Raises:
            UsageError: another format or an input signature is asked for, the model makes no
                images, or the folder cannot be written.
        """
        others = [f"format={format!r}"] if format != "tf_saved_model" else []
        others += [f"{name}=..." for name in kwargs]
        if others:
            raise UsageError(
                f"export({others[0]}) is not accepted: expected format='tf_saved_model', which has "
                "the zoo's signatures; zoo-export --format=onnx,tflite writes the others of a run"
            )
        folder = usable_path(filepath, "filepath")
        functions = signature_functions(self)
        try:
            write_saved_model(folder, functions)
        except tf.errors.OpError as error:
            raise UsageError(f"cannot write {folder}: {reason(error)}") from error
        if verbose:
            print(f"exported {', '.join(self.available_signatures)} to {filepath}")


def _weights_refused(name: str) -> UsageError:
    return UsageError(f"{name} weighs examples, which no model here does: expected images alone")
