"""`bench recommend --format`: list the deployed forms within given limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from bench.commands.shared import output, read_results, say
from bench.core.errors import BenchError


def recommend_forms(results: Sequence[Path], form: str, dataset: str | None, limits: Mapping[str, float]) -> None:
    """Print the forms within the limits, a table per data set, device and number of threads."""
    from bench.config.checks import require_choice
    from bench.report.findings.deployment_choice import choose_forms, known_formats
    from bench.report.findings.deployment_tables import deployment_boards

    _, loaded = read_results(results)
    trials = [trial for trial in loaded.trials if dataset in (None, trial.record.config.get("dataset"))]
    boards = deployment_boards(trials)
    if not boards:
        where = f" on the data set '{dataset}'" if dataset else ""
        raise BenchError(f"No form of a run{where} has been measured. Measure some with bench deploy RUN.")
    require_choice("--format", form, tuple(known_formats(boards)))
    console, found = output(), False
    for board in boards:
        choice = choose_forms(board, form, limits)
        console.print(board.of(choice.kept).terminal_table() if choice.kept else board.title)
        say(console, choice.advice)
        found |= bool(choice.kept)
    if not found:
        raise typer.Exit(1)
