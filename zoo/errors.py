"""The exceptions of the zoo: a mistake that a user can mend, and the loss of another worker."""

import re

# How TensorFlow says which of its kernels failed: `{{function_node ...}} `, ` [Op:SaveV2]`.
_KERNEL = re.compile(r"\{\{.*?\}\} *| *\[Op:\w+\]")


class UsageError(ValueError):
    """A flag, file, image, run folder or SavedModel is not what it has to be.

    The message is one line that says what is wrong, the value seen and what would be accepted.
    Programs print it on stderr and exit with code 2; library callers catch it as `ValueError`.
    """


class WorkerLost(RuntimeError):
    """Another worker of the run ended or cannot be reached any more.

    The message is one line. Programs print it on stderr and exit with code 3: nothing is wrong with
    the run, which goes on once all workers are started again.
    """


def reason(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (_KERNEL.sub("", str(error)).strip() or type(error).__name__).splitlines()[0]
