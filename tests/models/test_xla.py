"""What a TPU asks for, as far as a machine without one can tell."""

import pytest
import tensorflow as tf

from tests.models.training import compiled, train
from tests.models.variants import PATHS, variant_id


@pytest.mark.slow
@pytest.mark.parametrize("variant", PATHS, ids=variant_id)
def test_the_train_step_compiles_to_the_same_result(variant):
    plain, other = compiled(variant), compiled(variant)
    logs = train(other, 1, tf.function(other.train_step, jit_compile=True))
    assert logs == pytest.approx(train(plain, 1), rel=1e-3, abs=1e-4)
