"""The losses of BiGAN, ALI and ALICE on given codes, images and logits."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.known import DG, DR, Given, Point, k, s, tensor, with_parts

# The known answers are in the sources' sign, positive for data; the zoo's is that for generated.
T_DATA, T_GENERATED = -DR, -DG
CRITIC, PLAYERS = 1.2169195065, 1.8169195065
CYCLE = 0.8623903654  # mean |x - x^|

IMAGES, REBUILT = (tensor(a(2, 5)[:, :, None, None]) for a in (s, k))
SAMPLES = tensor(np.ones((2, 5, 1, 1)))
Z, Z_HAT, BACK = s(2, 3), k(2, 3) + s(2, 3), k(2, 3)


def losses(monkeypatch, **settings):
    """The losses where data have the logits T_DATA and samples T_GENERATED; what the critic saw."""
    seen = []

    def critic(x, z, training):
        seen.append((x, z))
        either = T_GENERATED if x is SAMPLES else T_DATA
        return tensor(either if len(x) == 2 else [*T_GENERATED, *T_DATA])

    model = with_parts(
        monkeypatch,
        settings,
        generate=lambda z, training: SAMPLES if np.array_equal(z, tensor(Z)) else REBUILT,
        posterior=lambda x, training: Point(BACK) if x is SAMPLES else Point(2 * Z_HAT, Z_HAT),
        joint_critic=critic,
    )
    found, report = model.losses(IMAGES, Given(prior=Z, posterior=0 * Z))
    return {player: float(loss) for player, loss in found.items()}, report, seen


@pytest.mark.parametrize("model", ["bigan", "ali"])
@pytest.mark.parametrize("joint_batch", [False, True])
def test_known_answer(monkeypatch, model, joint_batch):
    found, report, seen = losses(monkeypatch, model=model, joint_batch=joint_batch)
    expected = {"encoder": PLAYERS, "decoder": PLAYERS, "joint_critic": CRITIC}
    assert found == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(report["critic_generated"], T_GENERATED)
    np.testing.assert_array_equal(report["critic_data"], T_DATA)
    # The pairs: a sample with its z, an image with a draw of its posterior.
    assert len(seen) == (1 if joint_batch else 2)
    x, z = (tf.concat(parts, axis=0) for parts in zip(*seen, strict=True))
    np.testing.assert_array_equal(x, tf.concat([SAMPLES, IMAGES], axis=0))
    np.testing.assert_array_equal(z, np.concatenate([Z, Z_HAT]).astype(np.float32))


def test_known_answer_of_the_cycles(monkeypatch):
    found, report, _ = losses(monkeypatch, model="alice", code_cycle_weight=0.0)
    assert found["encoder"] == found["decoder"] == pytest.approx(2.6793098720, rel=1e-6)
    assert found["joint_critic"] == pytest.approx(CRITIC, rel=1e-6)
    assert np.mean(report["image_cycle"]) == pytest.approx(CYCLE, rel=1e-6)
    codes = np.abs(Z - BACK).mean(axis=1)
    np.testing.assert_allclose(report["code_cycle"], codes, rtol=1e-6)
    found, _, _ = losses(monkeypatch, model="alice", image_cycle_weight=0.5, code_cycle_weight=3.0)
    assert found["encoder"] == pytest.approx(PLAYERS + 0.5 * CYCLE + 3 * codes.mean(), rel=1e-6)


def test_cycles_of_squares(monkeypatch):
    found, _, _ = losses(monkeypatch, model="alice", cycle="l2")
    squares = np.mean((s(2, 5) - k(2, 5)) ** 2) + np.mean((Z - BACK) ** 2)
    assert found["decoder"] == pytest.approx(PLAYERS + squares, rel=1e-6)
