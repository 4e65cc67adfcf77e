"""The one exception of the zoo for mistakes that a user can mend."""


class UsageError(ValueError):
    """A flag, file, image, run folder or SavedModel is not what it has to be.

    The message is one line that says what is wrong, the value seen and what would be accepted.
    Programs print it on stderr and exit with code 2; library callers catch it as `ValueError`.
    """
