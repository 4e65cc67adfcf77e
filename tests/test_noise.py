import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from zoo.noise import row_noise, row_seeds, step_noise, threefry_2x32

# Known answers of Random123's threefry2x32 with 20 rounds (kat_vectors).
THREEFRY = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "counter", "expected"), THREEFRY)
@pytest.mark.parametrize("jit", [False, True])
def test_threefry_known_answers(key, counter, expected, jit):
    words = [tf.constant([w], tf.uint32) for w in (*key, *counter)]
    run = tf.function(lambda a, b, c, d: threefry_2x32((a, b), (c, d)), jit_compile=jit)
    assert tuple(int(x[0]) for x in run(*words)) == expected


def test_row_noise_has_its_distribution():
    noise = row_noise(row_seeds(3, 0, 2000))
    normal = noise.normal("z", (7,)).numpy()
    uniform = noise.uniform("u", (3, 5)).numpy()
    assert normal.shape == (2000, 7) and uniform.shape == (2000, 3, 5)
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    assert uniform.min() >= 0 and uniform.max() < 1
    correlation = np.corrcoef(normal.T) - np.eye(7)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_row_noise_hangs_on_the_rows_own_seed_alone():
    seeds = np.array([5, -7, 5, 2**31 - 1], np.int32)
    together = row_noise(seeds).normal("z", (4,)).numpy()
    for i in range(4):
        alone = row_noise(seeds[i : i + 1]).normal("z", (4,)).numpy()
        np.testing.assert_array_equal(alone[0], together[i])
    np.testing.assert_array_equal(together[0], together[2])
    assert not np.array_equal(together[0], together[1])


def test_purposes_and_seeds_give_other_noise():
    seeds = row_seeds(0, 0, 50)
    draws = [row_noise(seeds).normal("posterior", (4,)), row_noise(seeds).normal("prior", (4,))]
    draws += [row_noise(row_seeds(1, 0, 50)).normal("prior", (4,))]
    for a in range(3):
        for b in range(a):
            assert abs(np.corrcoef(draws[a].numpy().ravel(), draws[b].numpy().ravel())[0, 1]) < 0.3


def test_row_seeds_do_not_depend_on_the_batching():
    whole = row_seeds(11, 0, 100)
    np.testing.assert_array_equal(whole[37:61], row_seeds(11, 37, 24))
    assert len(set(whole.tolist())) == 100


def test_step_noise_is_a_function_of_seed_step_and_purpose():
    def draw(seed, step, purpose):
        return step_noise(seed, step, 6).normal(purpose, (3,)).numpy()

    base = draw(1, 5, "z")
    np.testing.assert_array_equal(base, draw(1, tf.constant(5, tf.int64), "z"))
    assert len(np.unique(base, axis=0)) == 6
    for other in (draw(2, 5, "z"), draw(1, 6, "z"), draw(1, 5, "prior")):
        assert np.abs(base - other).min() > 0


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_step_noise_is_the_same_under_xla(kind):
    def draw(step):
        return getattr(step_noise(3, step, 4), kind)("z", (5,))

    plain = draw(tf.constant(9))
    compiled = tf.function(draw, jit_compile=True)(tf.constant(9))
    np.testing.assert_allclose(plain, compiled, atol=1e-6)


def test_replicas_take_slices_of_the_global_draw():
    from zoo.training.strategy import make_strategy

    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    parts = strategy.run(lambda: step_noise(1, 5, 3).normal("z", (2,)))
    both = np.concatenate([p.numpy() for p in strategy.experimental_local_results(parts)])
    np.testing.assert_array_equal(both, step_noise(1, 5, 6).normal("z", (2,)).numpy())
