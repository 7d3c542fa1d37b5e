"""The measured forms of a leaderboard's rows (files of `bench export`), by which the page's script can choose."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.report.findings.deployment_choice import LIMITS, known_formats
from bench.report.findings.deployment_tables import DeploymentBoard, DeploymentRow
from bench.report.table_model import Row


class RowForms:
    """The forms that `bench deploy` has measured, by the row whose trials they are of."""

    def __init__(self, boards: Iterable[DeploymentBoard]) -> None:
        boards = list(boards)
        measured = [row for board in boards for row in board.rows if row.deployment.metrics]
        self.formats = known_formats(boards) if measured else []
        self.limits = frozenset(LIMITS)  # the limits that are those of the form once a format is chosen
        self._of_run: dict[str, list[dict[str, str | float]]] = defaultdict(list)
        for row in measured:
            self._of_run[row.deployment.run].append(_numbers(row))

    def of(self, row: Row) -> str:
        """Write a row's forms as JSON, the values by the names of their limits; empty if none was measured."""
        if not self._of_run:
            return ""
        runs = dict.fromkeys(Path(folder).name for folder in row.configuration.ok["folder"])
        found = [form for run in runs for form in self._of_run.get(run, ())]
        return json.dumps(found, separators=(",", ":")) if found else ""


def _numbers(row: DeploymentRow) -> dict[str, str | float]:
    known = {key: row.values[name] for key, (name, _) in LIMITS.items()}
    numbers = {key: float(f"{value:.6g}") for key, value in known.items() if math.isfinite(value)}
    return {"format": row.deployment.format, **numbers}
