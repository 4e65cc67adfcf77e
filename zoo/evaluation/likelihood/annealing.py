"""Annealed chains between a law that is known and one whose constant is asked for (Neal 2001).

Along targets log f_b(z) = log f_0(z) + b g(z), 0 = b_0 < ... < b_T, Z_b = int f_b / int f_0 is what
the weights of chains tell (Wu et al. 2017). Forward, from z ~ f_0, for k = 1..T:

    log w += (b_k - b_(k-1)) g(z),    then z <- a move that leaves f_(b_k) invariant;

E w = Z_(b_T), so that the log of a mean of weights is a lower bound of log Z in expectation, and
more than t nats above it with probability e^-t at most. From an exact draw of f_(b_T) the same
moves in reverse order, each before its weight, give 1 / w an expectation of 1 / Z_(b_T), hence an
upper bound (Grosse et al. 2015): the two together tell how far both are off.

A move is Hamiltonian Monte Carlo with its momentum in units of `scale`. Its step sizes, one per
image and temperature, are found by a pilot run with noise of its own and then held: adapted on the
chains that are weighed they would break the bounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import expit, logsumexp
from tqdm import tqdm

from zoo.evaluation.statistics import effective_samples
from zoo.noise import row_noise, row_seeds

Rows = Mapping[str, tf.Tensor]  # what each row of a batch of chains belongs to: its image and so on
Energy = Callable[[tf.Tensor, Rows], tf.Tensor]  # z [M, D] -> [M], nats

TARGET_ACCEPTANCE = 0.65
FIRST_STEP_SIZE = 0.5  # in units of `scale`, chosen
PILOT_CHAINS = 4
_FEW_STEPS = 100  # below which a pilot has to adapt faster
_RUNS = ("pilot", "forward", "reverse", "simulation")  # each with noise of its own
_ROWS_OF_RUN = 2**24  # of the seeds' numbering, more than any batch has


def run_seeds(run: str, seed: int, first: int, count: int) -> tf.Tensor:
    """int32 `[count]` of the rows of a run of chains from number `first` on."""
    return tf.constant(row_seeds(seed, _RUNS.index(run) * _ROWS_OF_RUN + first, count))


def linear_schedule(steps: int) -> np.ndarray:
    """b `[T + 1]` in equal steps from 0 to 1."""
    return np.linspace(0.0, 1.0, steps + 1)


def sigmoid_schedule(steps: int) -> np.ndarray:
    """b `[T + 1]` from 0 to 1, dense at both ends (Wu et al. 2017)."""
    b = expit(4 * np.linspace(-1.0, 1.0, steps + 1))
    return (b - b[0]) / (b[-1] - b[0])


class Point(NamedTuple):
    """Where chains are, with what a move needs of it at any temperature."""

    z: tf.Tensor  # [M, D]
    log_start: tf.Tensor  # [M]
    energy: tf.Tensor  # g, [M]
    start_gradient: tf.Tensor  # [M, D]
    energy_gradient: tf.Tensor

    def log_density(self, b: tf.Tensor) -> tf.Tensor:
        """log f_b `[M]`."""
        return self.log_start + b * self.energy

    def gradient(self, b: tf.Tensor) -> tf.Tensor:
        """Its gradient `[M, D]`."""
        return self.start_gradient + b * self.energy_gradient


@dataclasses.dataclass(frozen=True)
class Batch:
    """The chains of B images, those of an image side by side.

    Attributes:
        rows: what `log_start` and `energy` need of each of the B * C rows.
        scale: of the moves, `[B * C, D]`.
        seeds: numbers of the rows' noise: `(seed, first row)`.
        chains: C.
    """

    rows: Rows
    scale: tf.Tensor
    seeds: tuple[int, int]
    chains: int

    @classmethod
    def of(
        cls, rows: Mapping[str, np.ndarray], scale: np.ndarray, seeds: tuple[int, int], chains: int
    ) -> Batch:
        """From one row per image."""
        repeated = {name: tf.repeat(value, chains, axis=0) for name, value in rows.items()}
        return cls(repeated, tf.repeat(tf.cast(scale, tf.float32), chains, axis=0), seeds, chains)

    def noise_seeds(self, run: str) -> tf.Tensor:
        """int32 `[B * C]`."""
        return run_seeds(run, *self.seeds, len(self.scale))


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a run of chains leaves.

    Attributes:
        log_weights: `[B, C]`, float64, nats.
        acceptance: mean over all moves.
    """

    log_weights: np.ndarray
    acceptance: float

    def log_mean(self) -> np.ndarray:
        """log of the mean weight of each image, `[B]`, nats."""
        return logsumexp(self.log_weights, axis=1) - np.log(self.log_weights.shape[1])

    def effective_chains(self) -> np.ndarray:
        """(sum w)^2 / sum w^2 of each image, `[B]`, at most C."""
        return effective_samples(self.log_weights)


class Annealing:
    """Chains along one path of targets, the chains of all images in one batch.

    Args:
        log_start: log f_0 up to a constant.
        energy: g.
        schedule: b `[T + 1]`, rising from 0.
        leapfrog: steps of a move.
    """

    def __init__(self, log_start: Energy, energy: Energy, schedule: np.ndarray, leapfrog: int):
        self._log_start, self._energy = log_start, energy
        self.schedule, self._leapfrog = np.asarray(schedule, np.float64), leapfrog
        self._evaluated = _compiled(self._evaluate)
        self._moved = _compiled(self._move)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.schedule) - 1

    def at(self, z: tf.Tensor, batch: Batch) -> Point:
        """Codes `[B * C, D]` as a point."""
        return self._evaluated(tf.cast(z, tf.float32), batch.rows)

    def pilot(self, z: tf.Tensor, batch: Batch, bar: tqdm | None = None) -> np.ndarray:
        """Step sizes `[T, B]` of accepting about `TARGET_ACCEPTANCE`, from z ~ f_0
        `[B * C, D]`."""
        change = 0.05 if self.steps < _FEW_STEPS else 0.02
        size = np.full(len(z) // batch.chains, FIRST_STEP_SIZE)
        sizes, seeds, point = [], batch.noise_seeds("pilot"), self.at(z, batch)
        for k in range(1, self.steps + 1):
            sizes.append(size)
            point, accepted = self.move(point, batch, self.schedule[k], size, seeds, k)
            accepted = accepted.reshape(-1, batch.chains).mean(axis=1)
            size = size * np.where(accepted > TARGET_ACCEPTANCE, 1 + change, 1 - change)
            _advance(bar, len(z) * self._leapfrog)
        return np.stack(sizes)

    def forward(
        self, z: tf.Tensor, batch: Batch, sizes: np.ndarray, bar: tqdm | None = None
    ) -> Weights:
        """The weights of chains from z ~ f_0 `[B * C, D]`; `log_mean` is a lower bound."""
        for weights, _ in self.stages(z, batch, sizes, bar):  # noqa: B007  the last are asked for
            pass
        return weights

    def stages(
        self, z: tf.Tensor, batch: Batch, sizes: np.ndarray, bar: tqdm | None = None
    ) -> Iterator[tuple[Weights, Point]]:
        """`forward` stage by stage: after the move at b_1, ..., b_T, the weights and where the
        chains are; weighed, these are draws of f_(b_k)."""
        seeds, point = batch.noise_seeds("forward"), self.at(z, batch)
        log_w, accepted = np.zeros(len(z)), []
        for k in range(1, self.steps + 1):
            log_w = log_w + self._increment(point, k)
            point, probability = self.move(point, batch, self.schedule[k], sizes[k - 1], seeds, k)
            accepted.append(probability.mean())
            _advance(bar, len(z) * self._leapfrog)
            yield Weights(log_w.reshape(-1, batch.chains), float(np.mean(accepted))), point

    def reverse(
        self, z: tf.Tensor, batch: Batch, sizes: np.ndarray, bar: tqdm | None = None
    ) -> Weights:
        """The weights of the same moves backwards from draws of f_(b_T) `[B * C, D]`: minus
        `log_mean` is an upper bound."""
        seeds, point = batch.noise_seeds("reverse"), self.at(z, batch)
        log_w, accepted = np.zeros(len(z)), []
        for k in range(self.steps, 0, -1):
            point, probability = self.move(point, batch, self.schedule[k], sizes[k - 1], seeds, k)
            log_w = log_w - self._increment(point, k)
            accepted.append(probability.mean())
            _advance(bar, len(z) * self._leapfrog)
        return Weights(log_w.reshape(-1, batch.chains), float(np.mean(accepted)))

    def move(
        self,
        point: Point,
        batch: Batch,
        b: float,
        size: np.ndarray,
        seeds: tf.Tensor,
        number: int,
    ) -> tuple[Point, np.ndarray]:
        """One move at b, and the probabilities `[M]` with which it was accepted.

        Args:
            point: from where.
            batch: whose chains.
            b: the temperature.
            size: of the steps, one per image.
            seeds: of the rows' noise.
            number: of the move, of which each has its own noise.
        """
        step = tf.repeat(tf.constant(size, tf.float32), batch.chains)[:, None] * batch.scale
        b = tf.constant(b, tf.float32)
        point, accepted = self._moved(point, batch.rows, b, step, seeds, tf.constant(number))
        return point, accepted.numpy()

    def _increment(self, point: Point, k: int) -> np.ndarray:
        energy = point.energy.numpy().astype(np.float64)
        return (self.schedule[k] - self.schedule[k - 1]) * energy

    def _move(
        self,
        point: Point,
        rows: Rows,
        b: tf.Tensor,
        step: tf.Tensor,
        seeds: tf.Tensor,
        number: tf.Tensor,
    ) -> tuple[Point, tf.Tensor]:
        noise = row_noise(seeds, number)
        momentum = noise.normal("momentum", (point.z.shape[1],))
        before = point.log_density(b) - 0.5 * tf.reduce_sum(momentum**2, axis=1)
        there = point
        for _ in tf.range(self._leapfrog):
            momentum += 0.5 * step * there.gradient(b)
            there = self._evaluate(there.z + step * momentum, rows)
            momentum += 0.5 * step * there.gradient(b)
        after = there.log_density(b) - 0.5 * tf.reduce_sum(momentum**2, axis=1)
        # Where the trajectory left the numbers, after - before is minus infinity or NaN: rejected.
        probability = tf.exp(tf.minimum(after - before, 0.0))
        probability = tf.where(tf.math.is_nan(probability), 0.0, probability)
        accepted = noise.uniform("acceptance", (1,))[:, 0] < probability
        chosen = [
            tf.where(accepted if new.shape.rank == 1 else accepted[:, None], new, old)
            for new, old in zip(there, point, strict=True)
        ]
        return Point(*chosen), probability

    def _evaluate(self, z: tf.Tensor, rows: Rows) -> Point:
        # Signatures refuse codes that are not finite.
        finite = tf.reduce_all(tf.math.is_finite(z), axis=1)
        z = tf.where(finite[:, None], z, 0.0)
        with tf.GradientTape() as of_start, tf.GradientTape() as of_energy:
            of_start.watch(z)
            of_energy.watch(z)
            log_start, energy = self._log_start(z, rows), self._energy(z, rows)
        gradients = (
            of_start.gradient(log_start, z, unconnected_gradients="zero"),
            of_energy.gradient(energy, z, unconnected_gradients="zero"),
        )
        energy = tf.where(finite & tf.math.is_finite(energy), energy, -np.inf)
        start, slope = (tf.where(tf.math.is_finite(g), g, 0.0) for g in gradients)
        return Point(z, log_start, energy, start, slope)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as one graph for any number of rows, traced at the first call."""
    traced: list[Callable[..., Any]] = []

    def any_rows(value: tf.Tensor) -> tf.TensorSpec:
        return tf.TensorSpec([None, *value.shape[1:]] if value.shape.rank else [], value.dtype)

    def call(*arguments: Any) -> Any:
        if not traced:
            specs = tf.nest.map_structure(any_rows, arguments)
            traced.append(tf.function(function).get_concrete_function(*specs))
        return traced[0](*arguments)

    return call


def _advance(bar: tqdm | None, gradients: int) -> None:
    if bar is not None:
        bar.update(gradients)
