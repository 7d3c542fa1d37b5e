"""The forms of trained models that are within given limits, for `bench recommend --format`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import BenchError
from bench.report.findings.deployment_tables import DeploymentBoard, DeploymentRow

ANY = "any"
LIMITS = {
    "min_mean_iou": ("mean_iou", 1),
    "max_latency_ms": ("latency_ms_p95", -1),
    "max_memory_mib": ("process_peak_mib", -1),
    "min_images_per_second": ("images_per_second", 1),
}
"""The number that each limit is for, and 1 for a lower bound, -1 for an upper one."""


@dataclass(frozen=True)
class FormChoice:
    """The rows of a table that are within the limits, the best score first, and how many were measured."""

    kept: tuple[DeploymentRow, ...]
    measured: int

    @property
    def advice(self) -> str:
        """Write one line that names the best."""
        if not self.kept:
            return f"None of {self.measured} forms is within the limits."
        best = self.kept[0]
        form = f"{best.label} as {best.deployment.form} in {best.deployment.precision}"
        return f"Take {form}: {len(self.kept)} of {self.measured} forms are within the limits."


def choose_forms(board: DeploymentBoard, form: str, limits: Mapping[str, float]) -> FormChoice:
    """Apply limits to the rows of a table that have the format, or to all.

    Raises:
        BenchError: a limit for which forms have no number.
    """
    if unknown := [name for name in limits if name not in LIMITS]:
        option = f"--{unknown[0].replace('_', '-')}"
        accepted = ", ".join(f"--{name.replace('_', '-')}" for name in LIMITS)
        raise BenchError(f"{option} is no limit for a form, so not with --format. Accepted with it: {accepted}.")
    rows = [row for row in board.rows if row.deployment.metrics and form in (ANY, row.deployment.format)]
    kept = [row for row in rows if all(_keeps(row, name, limit) for name, limit in limits.items())]
    return FormChoice(tuple(sorted(kept, key=_order)), len(rows))


def known_formats(boards: Sequence[DeploymentBoard]) -> list[str]:
    """List the formats that were measured, and the word for all of them."""
    return [ANY, *sorted({row.deployment.format for board in boards for row in board.rows if row.deployment.metrics})]


def _keeps(row: DeploymentRow, name: str, limit: float) -> bool:
    number, sign = LIMITS[name]
    return sign * row.values[number] >= sign * limit


def _order(row: DeploymentRow) -> tuple[float, float]:
    """Return the key that puts the best score first, and the fastest of those that the table shows as equal."""
    return -round(row.values["mean_iou"], 3), row.values["latency_ms_p95"]
