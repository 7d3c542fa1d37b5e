"""Tabulate how far ranks move between folds: where each row would stand if one fold's split were the only one."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report.findings.boards.board import Board, Topic
from bench.report.table_model import Cell, Group
from bench.results.quantities.quantity import Metric


@dataclass(frozen=True, eq=False)
class FoldBoard(Board):
    """The rows of a group that have folds, the best first."""

    topic = Topic(
        name="folds",
        link="Folds",
        heading="How far one split's ranks move",
        meaning="The ranks of each row by the score of one fold alone, a mean over the seeds: those that it would "
        "have got from that single split. Where they differ, a comparison on one split is decided by the split.",
        columns=("rank", "ranks by one fold", "lowest fold", "highest fold"),
        texts=frozenset({"ranks by one fold"}),
    )
    metric: Metric
    labels: tuple[str, ...]
    scores: NDArray[np.float64]  # (rows, folds)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """The rank of each row by each fold alone, from 1: (rows, folds); equal scores share the better one."""
        good = self.metric.goodness(self.scores)
        return 1 + (good[None] > good[:, None]).sum(axis=1)

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        found = []
        for place, (label, ranks, scores) in enumerate(zip(self.labels, self.ranks, self.scores, strict=True), start=1):
            spread = float(np.ptp(ranks))
            cells = (
                Cell(str(place), float(place)),
                Cell(", ".join(map(str, ranks)), spread, f"from the first fold to the last: {spread:g} apart"),
                *(Cell(self.metric.write(score), score) for score in (float(scores.min()), float(scores.max()))),
            )
            found.append((label, cells))
        return found

    @property
    def notes(self) -> list[str]:
        """See `Board`."""
        rows, folds = self.scores.shape
        others = int((self.ranks != np.arange(1, rows + 1)[:, None]).any(axis=0).sum())
        first = int((self.ranks == 1).any(axis=1).sum())
        most = int(np.ptp(self.ranks, axis=1).max())
        if not others:
            return [f"Each of the {folds} folds alone puts these {rows} rows in the order of all together."]
        return [
            f"By {others} of the {folds} folds alone, these {rows} rows stand in another order than by all together. "
            f"{first} of them would be first by some fold; a row moves by up to {most}."
        ]

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [
            {
                "table": self.title,
                "configuration": label,
                "metric": self.metric.name,
                "rank": place + 1,
                "fold": fold + 1,
                "rank_by_fold": int(self.ranks[place, fold]),
                "score": float(self.scores[place, fold]),
            }
            for place, label in enumerate(self.labels)
            for fold in range(self.scores.shape[1])
        ]


def fold_boards(groups: Iterable[Group]) -> list[FoldBoard]:
    """Make a table for each group of which two rows or more have folds."""
    found = []
    for group in groups:
        known = [(row.label, row.uncertainty.folds) for row in group.ranked if row.uncertainty]
        some = [(label, folds) for label, folds in known if folds is not None]
        if len(some) > 1:
            labels, scores = zip(*some, strict=True)
            title = f"{group.title}: how far one split's ranks move"
            found.append(FoldBoard(title, group.metric, labels, np.array(scores)))
    return found
