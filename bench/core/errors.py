"""The exception that the command line turns into one line and exit code 2."""


class BenchError(ValueError):
    """An error with a one-sentence message: a user's mistake, or something that is missing.

    The message says what was given, what is accepted and what to do.
    """
