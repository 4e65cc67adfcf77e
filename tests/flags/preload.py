"""What the fork server of `processes.py` imports once, so that its children need not.

Nothing here may start TensorFlow's devices or threads: they would not survive the fork.
"""

from zoo.flags.program import start_tensorflow

start_tensorflow()

import zoo.data.color_mnist  # noqa: E402, F401
import zoo.evaluation.evaluate  # noqa: E402
import zoo.report  # noqa: E402
import zoo.training.loop  # noqa: E402, F401
from zoo.models import MODELS, model_class  # noqa: E402

for name in MODELS:
    model_class(name)
