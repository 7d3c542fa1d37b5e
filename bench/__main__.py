"""The command `bench`, also as `python -m bench`."""

from bench.core import surroundings


def main() -> None:
    """Run the command line in a process that the user's surroundings don't change."""
    surroundings.settle()
    from bench import cli  # only now: its packages must not be the user's files of such names

    cli.main()


if __name__ == "__main__":
    main()
