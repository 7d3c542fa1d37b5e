"""Old revisions start `python -m bench.execution.pace`: kept for `bench check --against` across the move."""

from bench.trials.children.timed_revision import main

if __name__ == "__main__":
    main()
