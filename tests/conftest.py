import os

import hypothesis
import numpy as np
import pytest

from zoo.flags.program import start_tensorflow

# A test forks for its programs, in which gRPC would look for the descriptors of an earlier test's
# server, and abort.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

start_tensorflow()
import tensorflow as tf  # noqa: E402

# Before TensorFlow's devices start: two logical CPUs stand in for two accelerators.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


# Machines are shared: no example has to be done in time.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
