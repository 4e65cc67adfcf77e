"""What the fork server of `processes.py` imports once, so that its children need not.

Nothing here may start TensorFlow's devices or threads: they would not survive the fork.
"""

from zoo.flags.program import start_tensorflow

start_tensorflow()

import zoo.data.color_mnist  # noqa: E402, F401
import zoo.evaluation.runner  # noqa: E402
import zoo.report  # noqa: E402
import zoo.training.loop  # noqa: E402, F401
from zoo.models import model_class  # noqa: E402
from zoo.registry import MODELS  # noqa: E402

for name in MODELS:
    model_class(name)
