"""No weight is read by a train step after the step has changed it, in whatever order threads run.

The optimised graph tells: of a read and an update of one variable, one has to be the other's
ancestor.
"""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import RunMetadata

import zoo
from zoo.evaluation.samples.wasserstein_critic import BATCH_SIZE, Critic
from zoo.registry import MODELS

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(1).random((20, *SHAPE)).astype(np.float32)


def optimised_graph(step, directory):
    """The graph that runs in `step()`, which traces a function."""
    tf.summary.trace_on(graph=True, profiler=False)
    step()
    with tf.summary.create_file_writer(str(directory)).as_default() as writer:
        tf.summary.trace_export("step", step=0)
        writer.close()
    (file,) = directory.iterdir()
    events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
    values = [value for event in events for value in event.summary.value]
    graphs = RunMetadata.FromString(values[0].tensor.string_val[0]).function_graphs
    return max((graph.post_optimization_graph for graph in graphs), key=lambda g: len(g.node))


def unordered(graph):
    """Pairs of a read and an update, or of two updates, of one variable, of which neither has to
    wait for the other; and how many updates there are."""
    nodes = {node.name: node for node in graph.node}
    inputs = {n.name: [i.lstrip("^").split(":")[0] for i in n.input] for n in graph.node}
    order, ancestors = {}, {}

    def visit(start):
        stack = [start]
        while stack:
            waiting = [name for name in inputs[stack[-1]] if name not in order]
            stack += waiting
            if not waiting:
                name = stack.pop()
                order.setdefault(name, len(order))

    for name in nodes:
        visit(name)
    for name in order:
        ancestors[name] = 0
        for i in inputs[name]:
            ancestors[name] |= ancestors[i] | 1 << order[i]
    accesses, updates = collections.defaultdict(list), 0
    for node in graph.node:
        writes = node.op.startswith(("Assign", "ResourceApply"))
        if node.op != "ReadVariableOp" and not writes:
            continue
        updates += writes
        variable = inputs[node.name][0]
        while nodes[variable].op == "Identity":
            variable = inputs[variable][0]
        accesses[variable].append((node.name, writes))
    return updates, [
        (a, b)
        for found in accesses.values()
        for (a, one), (b, other) in itertools.combinations(found, 2)
        if (one or other) and not (ancestors[a] >> order[b] | ancestors[b] >> order[a]) & 1
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "wgan_gp" else pytest.mark.slow)
        for name in sorted(MODELS)
    ],
)
def test_a_step_reads_before_it_writes(name, tmp_path):
    model = zoo.create_model(name, image_shape=SHAPE, width=0.06, latent_size=3)
    model.compile()
    graph = optimised_graph(lambda: model.train_on_batch(IMAGES), tmp_path)
    updates, pairs = unordered(graph)
    assert updates > len(model.trainable_variables) and pairs == []


def test_the_wasserstein_critic_too(tmp_path):
    critic = Critic(SHAPE, seed=1, width=0.06)
    batches = [itertools.repeat(np.resize(IMAGES, (BATCH_SIZE, *SHAPE))) for _ in range(2)]
    graph = optimised_graph(lambda: critic.train(*batches, steps=1, name="critic"), tmp_path)
    updates, pairs = unordered(graph)
    assert updates > len(critic.network.trainable_variables) and pairs == []


def test_it_is_told_where_a_read_may_come_late(tmp_path):
    """As when a step takes its gradients from a loss that it does not wait for."""
    model = zoo.create_model("wgan_gp", image_shape=SHAPE, width=0.06, latent_size=3)
    model.compile()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.models.base.after", lambda losses, seed: tf.constant(seed))
        graph = optimised_graph(lambda: model.train_on_batch(IMAGES), tmp_path)
    assert unordered(graph)[1]
