"""The one exception that the command line turns into a line and exit code 2."""


class BenchError(ValueError):
    """A user's mistake or a missing thing, in one sentence.

    The message says what was given, what is accepted and what to do.
    """
