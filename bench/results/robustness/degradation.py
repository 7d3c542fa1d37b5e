"""The scores of configurations under corruption, with intervals by the paired bootstrap over images.

The score under corruption is the mean over the kinds of the means over their severities of the mean IoU of the split,
as Hendrycks and Dietterich 2019 average errors, but without a reference net. Relative to clean it is divided by the
mean IoU on the same images without corruption.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.evaluation.corruptions.corruption_table import Condition
from bench.evaluation.image_table import read_table
from bench.evaluation.scores import image_means, ratio
from bench.results.analysis.bootstrap import Uncertainty, bootstrap
from bench.results.analysis.intervals.scales import Scale
from bench.results.analysis.uncertainty import by_seed
from bench.results.loading import StoredTrial
from bench.results.quantities import MEAN_IOU
from bench.results.robustness.usable_trials import Comparable, ScoredTrial, comparable

_MOST_LOST = 5  # images of a configuration that lost most


@dataclass(frozen=True)
class LostMost:
    """An image whose mean IoU a corruption lowers much, averaged over the trials."""

    image: str
    condition: Condition
    clean: float
    corrupted: float


@dataclass(frozen=True, eq=False)
class Degradation:
    """A configuration's mean IoU on clean and on corrupted images."""

    label: str
    seeds: int
    clean: Uncertainty
    corrupted: Uncertainty
    relative: Uncertainty  # corrupted / clean
    by_kind: dict[str, Uncertainty]  # means over the severities
    by_condition: dict[Condition, float]
    lost_most: tuple[LostMost, ...]
    pictures: tuple[tuple[Condition, Path], ...]  # of the first trial: the image that lost most under a condition


@dataclass(frozen=True, eq=False)
class Robustness:
    """Configurations on the same corrupted images, the best under corruption first."""

    images: int
    conditions: tuple[Condition, ...]  # without clean images
    rows: tuple[Degradation, ...]
    notes: tuple[str, ...]

    @property
    def kinds(self) -> list[str]:
        """The kinds of corruption, in order."""
        return list(dict.fromkeys(condition.kind for condition in self.conditions))

    @property
    def severities(self) -> list[int]:
        """The severities, in order."""
        return sorted({condition.severity for condition in self.conditions})


def robustness(
    members: Sequence[tuple[str, Sequence[StoredTrial]]], wanted: Iterable[Condition] | None = None
) -> Robustness | None:
    """Compare configurations by what `bench robustness` stored; None if there is nothing.

    Args:
        members: a label and the trials of each configuration; all have the same data.
        wanted: the conditions to use; None for all that every trial with results has.

    Raises:
        BenchError: a table can't be read, or is of other images.
    """
    chosen = comparable(members, wanted)
    if chosen is None:
        return None
    measured = _measure(chosen)
    labels = dict.fromkeys(label for label, _ in members if any(trial.label == label for trial in chosen.trials))
    rows = sorted((_row(label, chosen, measured) for label in labels), key=lambda row: -row.corrupted.mean)
    return Robustness(chosen.images, chosen.conditions[1:], tuple(rows), (*_other_order(rows), *chosen.notes))


@dataclass(frozen=True, eq=False)
class _Measured:
    """The mean IoU of each condition and trial."""

    scores: NDArray[np.float64]  # (conditions, trials)
    draws: NDArray[np.float64]  # (conditions, trials, repeats): on each draw of images
    by_image: NDArray[np.float64]  # (conditions, trials, images)
    names: tuple[str, ...]  # of the images
    groups: int


def _measure(chosen: Comparable) -> _Measured:
    """Bootstrap each condition, all with the same draws of images; the tables of one condition are in memory."""
    images: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    found, by_image = [], []
    for condition in chosen.conditions:
        tables = [read_table(trial.results[condition].table, counts_only=True) for trial in chosen.trials]
        images = images or (tables[0].names, tables[0].groups)
        if any((table.names, table.groups) != images for table in tables):
            raise BenchError(
                "The results of `bench robustness` are not of the same images. Remove the folders robustness/ of these "
                "runs and measure them again."
            )
        flat = [[table.counts.reshape(len(table.names), -1)] for table in tables]
        found.append(bootstrap(flat, images[1], MEAN_IOU.score.of_sums))
        by_image.append([image_means(table.counts) for table in tables])
    scores = np.array([[one.mean for one in trials] for trials in found])
    draws = np.array([[one.draws for one in trials] for trials in found])
    return _Measured(scores, draws, np.array(by_image), images[0] if images else (), found[0][0].groups)


def _row(label: str, chosen: Comparable, measured: _Measured) -> Degradation:
    mine = [place for place, trial in enumerate(chosen.trials) if trial.label == label]
    trials = [chosen.trials[place] for place in mine]
    scores, draws = measured.scores[:, mine], measured.draws[:, mine]
    kinds = _kinds(chosen.conditions)

    def uncertainty(
        values: NDArray[np.float64], drawn: NDArray[np.float64], scale: Scale = MEAN_IOU.score.scale
    ) -> Uncertainty:
        whole = Uncertainty(values, drawn.mean(axis=0), measured.groups, scale=scale)
        return by_seed(whole, [trial.seed for trial in trials])

    of_kinds = {kind: (scores[places].mean(axis=0), draws[places].mean(axis=0)) for kind, places in kinds.items()}
    all_scores, all_draws = (np.mean([pair[side] for pair in of_kinds.values()], axis=0) for side in (0, 1))
    return Degradation(
        label,
        seeds=len({trial.seed for trial in trials}),
        clean=uncertainty(scores[0], draws[0]),
        corrupted=uncertainty(all_scores, all_draws),
        relative=uncertainty(
            ratio(all_scores, scores[0]), ratio(all_draws, draws[0]), Scale.PLAIN
        ),  # above 1 if it gained
        by_kind={kind: uncertainty(*pair) for kind, pair in of_kinds.items()},
        by_condition=dict(zip(chosen.conditions[1:], scores[1:].mean(axis=1).tolist(), strict=True)),
        lost_most=_lost_most(chosen.conditions, measured.by_image[:, mine].mean(axis=1), measured.names),
        pictures=_pictures(trials, chosen.conditions),
    )


def _kinds(conditions: Sequence[Condition]) -> dict[str, list[int]]:
    """Return the places of each kind's conditions; those of a kind follow each other."""
    places = range(1, len(conditions))
    return {kind: list(some) for kind, some in groupby(places, key=lambda place: conditions[place].kind)}


def _lost_most(
    conditions: Sequence[Condition], scores: NDArray[np.float64], names: Sequence[str]
) -> tuple[LostMost, ...]:
    """List the images that lost most, each under the condition in which it did; `scores` is (conditions, images)."""
    lost = np.nan_to_num(scores[0] - scores[1:], nan=-np.inf)
    worst = lost.argmax(axis=0)
    amount = lost.max(axis=0)
    order = [place for place in np.argsort(-amount, kind="stable")[:_MOST_LOST] if amount[place] > 0]
    return tuple(
        LostMost(names[i], conditions[1 + worst[i]], float(scores[0, i]), float(scores[1 + worst[i], i])) for i in order
    )


def _pictures(trials: Sequence[ScoredTrial], conditions: Sequence[Condition]) -> tuple[tuple[Condition, Path], ...]:
    for trial in trials:
        if found := [(one, file) for one in conditions if (file := trial.results[one].picture)]:
            return tuple(found)
    return ()


def _other_order(rows: Sequence[Degradation]) -> list[str]:
    """Say so if another configuration is first under corruption than on clean images."""
    if len(rows) < 2:
        return []
    clean = max(rows, key=lambda row: row.clean.mean)
    if clean is rows[0]:
        return []
    return [f"On clean images {clean.label} has the highest mean IoU; under corruption {rows[0].label} has."]
