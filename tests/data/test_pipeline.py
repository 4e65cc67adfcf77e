import numpy as np
import pytest
import tensorflow as tf

from zoo.data.pipeline import positions_to_examples, training_dataset
from zoo.training.strategy import make_strategy


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (50, 28, 28, 3), dtype=np.uint8)


def order(seed, first, count, examples):
    return positions_to_examples(tf.range(first, first + count, dtype=tf.int64), examples, seed)


@pytest.mark.parametrize("examples", [1, 2, 50, 1000])
def test_each_epoch_is_a_permutation_of_its_own(examples):
    epochs = order(3, 0, 3 * examples, examples).numpy().reshape(3, examples)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(examples))
    if examples >= 50:
        assert not np.array_equal(epochs[0], epochs[1])


def test_order_is_well_mixed():
    n = 1000
    epoch = order(7, 0, n, n).numpy()
    limit = 4 / np.sqrt(n)
    assert abs(np.corrcoef(epoch, np.arange(n))[0, 1]) < limit
    assert abs(np.corrcoef(epoch[1:], epoch[:-1])[0, 1]) < limit


def test_order_hangs_on_the_seed_and_any_place_is_reached_at_once():
    whole = order(1, 0, 200, 50).numpy()
    np.testing.assert_array_equal(order(1, 120, 30, 50), whole[120:150])
    assert not np.array_equal(order(2, 0, 50, 50), whole[:50])


def dataset_of(images, strategy, first_step=0, steps=6, passes=1):
    return training_dataset(
        images,
        strategy=strategy,
        batch_size=8,
        seed=5,
        first_step=first_step,
        steps=steps,
        passes=passes,
    )


def batches(images, strategy, **settings):
    dataset = dataset_of(images, strategy, **settings)
    results = []
    for batch in dataset:
        parts = strategy.experimental_local_results(batch)
        results.append(np.concatenate([p.numpy() for p in parts]))
    return results


def test_batches_are_those_of_the_order(images):
    got = np.concatenate(batches(images, make_strategy("one_device")))
    expected = images[order(5, 0, 48, 50).numpy()] / np.float32(255)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == np.float32


@pytest.mark.parametrize("passes", [1, 3])
def test_two_replicas_see_the_rows_of_one(images, passes):
    one = batches(images, make_strategy("one_device"), passes=passes)
    two = batches(images, make_strategy("mirrored"), passes=passes)
    np.testing.assert_array_equal(one, two)
    assert one[0].shape == ((8, 3, 28, 28, 3) if passes == 3 else (8, 28, 28, 3))


@pytest.mark.parametrize("passes", [1, 3])
def test_shapes_are_static_as_a_tpu_needs_them(images, passes):
    shape = (3, 28, 28, 3) if passes == 3 else (28, 28, 3)
    one = dataset_of(images, make_strategy("one_device"), passes=passes).element_spec
    assert one.shape == (8, *shape)
    two = dataset_of(images, make_strategy("mirrored"), passes=passes).element_spec
    assert [spec.shape for spec in tf.nest.flatten(two, expand_composites=True)] == [
        (4, *shape)
    ] * 2


def test_resume_jumps_to_its_place(images):
    straight = batches(images, make_strategy("one_device"))
    np.testing.assert_array_equal(
        straight[4:], batches(images, make_strategy("one_device"), first_step=4)
    )
