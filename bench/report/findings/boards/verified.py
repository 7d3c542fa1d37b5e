"""Tabulate which rows were reproduced: the verdicts that `bench verify` left beside the records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.report.findings.boards.board import Board, Topic
from bench.report.table_model import Cell, Group, Row
from bench.results.loading import StoredTrial
from bench.results.quantities import RANKED
from bench.results.quantities.quantity import MISSING
from bench.results.verified.kept_verdicts import KeptVerdict, counts, kept_verdicts


@dataclass(frozen=True, eq=False)
class Reproduced:
    """The verdicts on a row."""

    label: str
    metric: str  # its heading if it isn't the one that the group is ranked by; otherwise empty
    valid: tuple[KeptVerdict, ...]
    outdated: int  # on another record, or from other code or data

    @property
    def text(self) -> str:
        """The verdicts in words, such as `reproduced 2 of 2, on 1 machine`, with the metric if it's another one."""
        if not self.valid:
            return "not counted"
        inside = sum(one.is_inside for one in self.valid)
        machines = len({one.machine for one in self.valid})
        by = f" (by {self.metric})" if self.metric else ""
        return f"reproduced {inside} of {len(self.valid)}, on {machines} machine{'s' if machines > 1 else ''}{by}"

    @property
    def farthest(self) -> float | None:
        """The greatest difference in units of the interval, with its sign; None if no verdict has one."""
        known = [one.distance for one in self.valid if one.distance == one.distance]
        return max(known, key=abs, default=None)


@dataclass(frozen=True, eq=False)
class VerifiedBoard(Board):
    """The rows of a group that were verified, the best first."""

    topic = Topic(
        name="verified",
        link="Reproduced",
        heading="Which rows were reproduced",
        meaning="Runs of bench verify with another seed, and whether their score lies in the 95 % prediction "
        "interval of the row's seeds. The difference is in units of that interval: 0 is the mean of the seeds, 1 and "
        "-1 are its ends; one run in 20 lies beyond by chance alone. Two machines count as two if device, processor, "
        "cores, memory or system differ.",
        columns=("verdict", "largest difference", "seeds"),
        texts=frozenset({"verdict", "seeds"}),
    )
    found: tuple[Reproduced, ...]

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        return [(one.label, _cells(one)) for one in self.found]

    @property
    def notes(self) -> list[str]:
        """See `Board`."""
        outdated = sum(one.outdated for one in self.found)
        if not outdated:
            return []
        return [
            f"Not counted: {outdated} verdict{'s' if outdated > 1 else ''} on a record that was replaced since, or "
            "from a run whose code, data or weights differ from the record's. Verify again."
        ]

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [
            {"table": self.title, "configuration": one.label, **asdict(verdict), "distance": verdict.distance}
            for one in self.found
            for verdict in one.valid
        ]


def verified_boards(groups: Sequence[Group], trials: Mapping[str, StoredTrial]) -> list[VerifiedBoard]:
    """Make a table for each group of which a row was verified.

    Args:
        trials: by folder.
    """
    found = []
    for group in groups:
        rows = tuple(one for row in group.ranked if (one := _verdicts(group, row, trials)))
        if rows:
            found.append(VerifiedBoard(f"{group.title}: which rows were reproduced", rows))
    return found


def _verdicts(group: Group, row: Row, trials: Mapping[str, StoredTrial]) -> Reproduced | None:
    kept: list[tuple[KeptVerdict, bool]] = []
    for folder in row.configuration.ok["folder"].tolist():
        if trial := trials.get(str(folder)):
            kept += [(one, counts(one, trial.record.finished)) for one in kept_verdicts(Path(folder))]
    if not kept:
        return None
    metric = _metric([one.metric for one, valid in kept if valid] or [one.metric for one, _ in kept], group)
    kept = [(one, valid) for one, valid in kept if one.metric == metric]
    runs = {(one.seed, one.finished): one for one, valid in kept if valid}  # one new run may have verified two seeds
    heading = RANKED[metric].heading if metric in RANKED else metric
    other = "" if metric == group.metric.name else heading
    return Reproduced(row.label, other, tuple(runs.values()), sum(not valid for _, valid in kept))


def _metric(names: Sequence[str], group: Group) -> str:
    """Choose the metric whose verdicts are shown: the one that the group is ranked by, or else the most frequent."""
    return group.metric.name if group.metric.name in names else max(dict.fromkeys(names), key=names.count)


def _cells(one: Reproduced) -> tuple[Cell, ...]:
    far = one.farthest
    seeds = ", ".join(str(verdict.seed) for verdict in one.valid)
    return (
        Cell(one.text, float(len(one.valid))),
        Cell(MISSING if far is None else f"{far:+.2f}", far, "of the way from the mean to the interval's end"),
        Cell(seeds or MISSING, None),
    )
