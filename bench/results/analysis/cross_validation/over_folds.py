"""Join the uncertainties of a group's configurations on each fold to those over all folds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import Configuration

NOT_EVERY_FOLD = "no seed of which every fold is ok"


@dataclass(frozen=True, eq=False)
class Measured:
    """The uncertainties of a group's configurations."""

    rows: tuple[Uncertainty | str, ...]  # for each configuration; a text says why there is none
    images: tuple[str, ...]  # names of the images of the split that were drawn from
    groups: int  # number of groups that they were drawn by


def folds_of(members: Sequence[Configuration]) -> int:
    """Return the number of folds that all configurations have; 0 if they have none, or differ."""
    found = {int(float(str(member.values["folds"] or 0))) for member in members}
    return found.pop() if len(found) == 1 else 0


def in_folds(member: Configuration, folds: int) -> list[Configuration]:
    """Divide a configuration by fold, with the seeds of which every fold is ok; an empty list if there is none."""
    tested = member.ok.groupby("seed")["fold"].nunique()
    whole = member.ok[member.ok["seed"].isin(tested[tested == folds].index)].sort_values("seed", kind="stable")
    return [replace(member, trials=whole[whole["fold"] == fold]) for fold in range(1, folds + 1)] if len(whole) else []


def joined(parts: Sequence[Measured]) -> Measured:
    """Join what was measured on each fold: scores and draws are means over the folds."""
    names = dict.fromkeys(name for part in parts for name in part.images)
    drawn_once = len(names) == max(len(part.images) for part in parts)  # all folds are tested on the same images
    groups = max(part.groups for part in parts) if drawn_once else sum(part.groups for part in parts)
    rows = zip(*(part.rows for part in parts), strict=True)
    return Measured(tuple(_joined(row, groups) for row in rows), tuple(names), groups)


def _joined(rows: Sequence[Uncertainty | str], groups: int) -> Uncertainty | str:
    whole = [row for row in rows if isinstance(row, Uncertainty)]
    if len(whole) < len(rows):
        return next(row for row in rows if isinstance(row, str))
    return replace(
        whole[0],
        scores=np.mean([row.scores for row in whole], axis=0),
        draws=np.mean([row.draws for row in whole], axis=0),
        groups=groups,
        folds=np.array([row.mean for row in whole]),
    )
