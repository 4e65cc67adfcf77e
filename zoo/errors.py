"""The exceptions of the zoo: a mistake that a user can mend, and the loss of another worker; and
what those of others mean."""

import difflib
import re
from collections.abc import Iterable

# How TensorFlow says which of its kernels failed: `{{function_node ...}} `, ` [Op:SaveV2]`; and
# what Keras prints in bold.
_KERNEL = re.compile(r"\{\{.*?\}\} *| *\[Op:\w+\]|\x1b\[\d+m")
# What they put in front of what the kernel or the layer says.
_HEADING = re.compile(
    r"Graph execution error:|Detected at node|<stack traces unavailable>|\d+ root error|\s*File "
    r"|\s*\(\d+\) \w+: *$|Exception encountered when calling "
)
_WHERE = re.compile(r"Error in user-defined function passed to .*?: (?=assertion failed)")

# How exceptions of all sorts tell that memory has run out: those of TensorFlow's allocators, of C++
# and of oneDNN, whose status 1 that is (dnnl_status_t).
_OUT_OF_MEMORY = re.compile(
    r"\bOOM when allocating|std::bad_alloc|Status: 1, message: could not|can't start new thread"
)


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


def expected_of(value: str, known: Iterable[str], what: str = "one of") -> str:
    """What would be accepted in the place of `value`, which is none of the names `known`: as
    `did you mean vae? expected one of vae, dcgan`, where one resembles it; `what` is before them.
    """
    known = list(known)
    near = difflib.get_close_matches(value.lower(), known, 1)
    near += [name for name in known if name.endswith(f"/{value}")]  # of its group, as DATA/MODEL
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}expected {what} {', '.join(known)}"


def unknown_setting(name: str, value: object, known: Iterable[str]) -> str:
    """What to say of a setting that there is none of, whatever its name holds, in one line."""
    return f"unknown setting {' '.join(name.split())}={value!r}: {expected_of(name, known)}"


def reason(error: BaseException) -> str:
    """What an exception says, in one line."""
    lines = _KERNEL.sub("", str(error)).splitlines()
    said = [line.strip() for line in lines if line.strip() and not _HEADING.match(line)]
    return _WHERE.sub("", said[0]) if said else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory, or else a disk, does not suffice."""
    exhausted = any(kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__)
    return (
        exhausted or isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None
    )
