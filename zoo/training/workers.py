"""The processes that train one run together, one per machine, and what they agree on.

Every worker runs the same program. What they agree on goes through collectives, which every worker
has to enter at the same point: none may stand in code that the chief alone runs.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from zoo.errors import UsageError, WorkerLost, reason
from zoo.training.rendezvous import Place, enumerate_places, missing, read_cluster

# What the collectives of the others fail with once a worker is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Workers:
    """The workers of a run, as one of them sees them; one process is its own chief.

    Attributes:
        count: how many there are.
        chief: whether this is the one that writes the run folder.
        others: where the others are.
    """

    others: tuple[Place, ...] = ()

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.count, self.chief = 1, True
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            jobs = resolver.cluster_spec().as_dict()
            self.count = sum(map(len, jobs.values()))
            first = "chief" if "chief" in jobs else "worker"
            self.others = read_cluster().others
            self.chief = (resolver.task_type, resolver.task_id) == (first, 0)
        self._local = strategy.num_replicas_in_sync // self.count
        self._sum = tf.function(self._sum_over_replicas)

    def total(self, value: int) -> int:
        """The sum of the workers' values."""
        if self.count == 1:
            return int(value)
        return int(self._sum(tf.constant(int(value), tf.int64)))

    def _sum_over_replicas(self, value: tf.Tensor) -> tf.Tensor:
        def once_per_worker() -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(replica % self._local == 0, value, tf.zeros_like(value))

        return self._strategy.reduce("SUM", self._strategy.run(once_per_worker), axis=None)

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """A block, without collectives, that may fail on some workers: then all of them stop.

        Raises:
            UsageError: it failed here, or on another worker, which has said why.
        """
        failure = None
        try:
            yield
        except UsageError as error:
            failure = error
        failures = self.total(failure is not None)
        if failure:
            raise failure
        if failures:
            raise UsageError(
                f"{failures} of the {self.count} workers cannot start this run: their own "
                "messages say why"
            )

    def agree(self, settings: Mapping[str, Any]) -> None:
        """Sees to it that every worker has the same values, each of which JSON can say.

        Raises:
            UsageError: they differ.
        """
        differing = []
        for name, value in settings.items():
            digest = zlib.crc32(json.dumps(value, sort_keys=True).encode())
            if self.total(digest) != digest * self.count:
                differing.append(f"{name}, here {value!r}")
        with self.all_or_none():
            if differing:
                raise UsageError(
                    f"the workers differ in {'; '.join(differing)}: expected the same on all"
                )

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Gives every worker the chief's values of `variables`, so that it alone reads files."""
        if self.count == 1:
            return

        @tf.function
        def copy() -> None:
            for variable in variables:
                mine = tf.convert_to_tensor(variable) * int(self.chief)
                variable.assign(self._sum_over_replicas(mine))

        copy()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """A block that needs all workers to the end.

        Raises:
            WorkerLost: one is gone. TensorFlow finds that out by a closed connection, or by
                heartbeats that have stayed away for ten seconds.
        """
        try:
            yield
        except _LOST as error:
            if self.count == 1:
                raise
            gone = missing(self.others)
            who = f", {enumerate_places(gone)}" if gone else ""
            raise WorkerLost(
                f"lost {len(gone) or 'one'} of the {self.count} workers{who}: {reason(error)}. "
                "Start all of them again, and the run goes on from its last checkpoint"
            ) from error
