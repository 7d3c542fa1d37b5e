"""The uncertainty of the scores of a group's configurations, from the per-image tables in their trials' folders."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from bench.core.errors import BenchError
from bench.core.files import text_hash
from bench.evaluation import scores
from bench.evaluation.image_table import read_table
from bench.results.analysis import sequential
from bench.results.analysis.bootstrap import REPEATS, Uncertainty, Values, bootstrap
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.cross_validation.over_folds import NOT_EVERY_FOLD, Measured, folds_of, in_folds, joined
from bench.results.quantities import MEAN_IOU, RANKED
from bench.results.quantities.quantity import Metric
from bench.results.trial_files import IMAGES

_AT_ONCE = 64  # tables in memory
_CLOSE = 1e-6  # greatest difference between a table's score and its record's

NO_TABLE = "no readable per-image table"
OTHER_SCORE = "a per-image table that doesn't give the record's score"
ONE_GROUP = "no interval from a single test image or a single group of them"
OTHER_IMAGES = "other test images than most"
NOT_EVERY_SEED = "a seed without a value"
NO_COMMON_SEED = "no seed that both have"


def metric_named(name: str, *frames: pd.DataFrame) -> Metric:
    """Find the metric to rank by among those that the frames of `load_results` have.

    Raises:
        BenchError: no metric has that name, or it needs a column of its own that some frame lacks.
    """
    known = {
        metric.name: metric
        for metric in RANKED.values()
        if not metric.score.own or all(metric.name in f and is_numeric_dtype(f[metric.name]) for f in frames)
    }
    if name not in known:
        raise BenchError(f"The trials have no score '{name}' to rank by. Available: {', '.join(known)}.")
    return known[name]


@dataclass(frozen=True, eq=False)
class _Tables:
    """The tables of one configuration, an array per trial."""

    values: list[Values]
    seeds: list[float]
    images: tuple[tuple[str, ...], tuple[str, ...]]  # names, groups


def measure(members: Sequence[Configuration], metric: Metric = MEAN_IOU) -> Measured:
    """Estimate the uncertainty of each configuration's score; configurations with the same test images are paired.

    Configurations with other images than most are left out, since they can't be paired. If seeds of any of them were
    added until the order was decided, the intervals of all have the level that allows for it.
    """
    found = _measure(members, metric)
    most = most_seeds(members)
    if not most:
        return found
    level = sequential.level(most)
    return replace(found, rows=tuple(row if isinstance(row, str) else replace(row, level=level) for row in found.rows))


@dataclass(frozen=True, eq=False)
class Paired:
    """Two configurations over the seeds that both have, and the second less the first, by seed and by image."""

    one: Uncertainty
    other: Uncertainty
    change: Uncertainty


def paired_by_seed(one: Configuration, other: Configuration, metric: Metric = MEAN_IOU) -> Paired | str:
    """Estimate the difference of two configurations that share seeds; a text says why that can't be done.

    A seed decides the order of images and the augmentation of both, so their scores are subtracted seed by seed; the
    draws of images are the same for both, as everywhere.
    """
    common = sorted({*one.good_seeds} & {*other.good_seeds})
    if not common:
        return NO_COMMON_SEED
    rows = measure([_of_seeds(member, common) for member in (one, other)], metric).rows
    if lacking := next((row for row in rows if isinstance(row, str)), None):
        return lacking
    first, second = (row for row in rows if isinstance(row, Uncertainty))
    return Paired(first, second, second.change_from(first))


def _of_seeds(member: Configuration, seeds: Sequence[float]) -> Configuration:
    """Return a configuration with the ok trials of some seeds only, in the seeds' order."""
    chosen = member.ok[member.ok["seed"].isin(seeds)]
    return replace(member, trials=chosen.sort_values("seed", kind="stable"))


def most_seeds(members: Sequence[Configuration]) -> int:
    """Return the most seeds that could have been added to any configuration; 0 if all had a fixed number."""
    return min(sequential.MOST, max((int(m.ok["max_seeds"].fillna(0).max()) for m in members if m.seeds), default=0))


def _measure(members: Sequence[Configuration], metric: Metric) -> Measured:
    if not (folds := folds_of(members)):
        return _on_one_split(members, metric)
    parts = [in_folds(member, folds) for member in members]
    whole = [part for part in parts if part]
    by_fold = (
        [_on_one_split([part[fold] for part in whole], metric, in_fold=True) for fold in range(folds)] if whole else []
    )
    found = joined(by_fold) if whole else Measured((), (), 0)
    rows = iter(found.rows)
    return replace(found, rows=tuple(next(rows) if part else NOT_EVERY_FOLD for part in parts))


def _on_one_split(members: Sequence[Configuration], metric: Metric, *, in_fold: bool = False) -> Measured:
    if not metric.score.by_image:
        return Measured(tuple(_over_seeds(member, metric) for member in members), (), 0)
    found: list[Uncertainty | str] = [NO_TABLE] * len(members)
    of_images: dict[object, list[int]] = {}
    pending: dict[object, list[tuple[int, _Tables]]] = {}
    for number, member in enumerate(members):
        tables = _read(member, metric)  # ten thousand tables don't fit into memory at once
        if isinstance(tables, str):
            found[number] = tables
            continue
        key = (tables.images, tables.values[0].shape)
        of_images.setdefault(key, []).append(number)
        pending.setdefault(key, []).append((number, tables))
        if sum(len(some.values) for _, some in pending[key]) >= _AT_ONCE:
            _draw(pending.pop(key), metric, found, in_fold=in_fold)
    for some in pending.values():
        _draw(some, metric, found, in_fold=in_fold)
    most = max(of_images, key=lambda key: len(of_images[key]), default=None)
    for number in (n for key, numbers in of_images.items() if key != most for n in numbers):
        found[number] = OTHER_IMAGES
    first = next((row for row in found if isinstance(row, Uncertainty)), None)
    images = most[0][0] if first and isinstance(most, tuple) else ()
    return Measured(tuple(found), images, first.groups if first else 0)


def _over_seeds(member: Configuration, metric: Metric) -> Uncertainty | str:
    """Return the uncertainty of a number of whole trials: its images have no variance."""
    values = member.ok.groupby("seed")[metric.name].mean().to_numpy(dtype=float)
    return (
        Uncertainty(values, np.full(REPEATS, values.mean()), 2, scale=metric.score.scale)
        if np.isfinite(values).all()
        else NOT_EVERY_SEED
    )


def image_means(member: Configuration) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
    """Return the images' names and their mean IoU (images,), averaged over the trials that tested them.

    None if the tables lack it, or if no seed has every fold.
    """
    folds = folds_of([member])
    by_name: dict[str, list[float]] = {}
    for part in in_folds(member, folds) if folds else [member]:
        tables = _read(part, MEAN_IOU)
        if isinstance(tables, str):
            return None
        means = np.mean([_of_images(values) for values in tables.values], axis=0)
        for name, mean in zip(tables.images[0], means.tolist(), strict=True):
            by_name.setdefault(name, []).append(mean)
    return (tuple(by_name), np.array([np.mean(some) for some in by_name.values()])) if by_name else None


def _of_images(counts: Values) -> NDArray[np.float64]:
    return scores.macro(scores.iou)(np.reshape(counts, (len(counts), -1, 3)))


def _draw(
    some: Sequence[tuple[int, _Tables]], metric: Metric, found: list[Uncertainty | str], *, in_fold: bool
) -> None:
    """Bootstrap configurations on the same images."""
    names, groups = some[0][1].images
    score = metric.score
    seed = int(text_hash("/".join(names))[:8], 16) if in_fold else 0  # folds with the same images share the draws
    drawn = bootstrap([tables.values for _, tables in some], groups, score.of_sums, scale=score.scale, seed=seed)
    for (number, tables), one in zip(some, drawn, strict=True):
        whole = by_seed(one, tables.seeds)
        found[number] = whole if math.isfinite(whole.interval.low) else ONE_GROUP


def by_seed(found: Uncertainty, seeds: Sequence[float]) -> Uncertainty:
    """Return the same uncertainty with repeats of a seed counted as one; `seeds` are those of its scores."""
    numbers = np.array(seeds)
    means = np.array([found.scores[numbers == seed].mean() for seed in dict.fromkeys(seeds)])
    return replace(found, scores=means)


def _read(member: Configuration, metric: Metric) -> _Tables | str:
    """Read the tables of the ok trials; return the reason if one of them can't be used."""
    trials = zip(*(member.ok[name].tolist() for name in ("seed", "folder", metric.name)), strict=True)
    values, seeds, images = [], [], None
    for seed, folder, known in trials:
        if math.isnan(seed):
            continue
        try:
            table = read_table(Path(folder) / IMAGES, counts_only=not metric.score.own)
        except BenchError:
            return NO_TABLE
        if images not in (None, (table.names, table.groups)) or not table.names:
            return OTHER_IMAGES
        images = (table.names, table.groups)
        try:
            values.append(metric.score.values(table))
        except KeyError:  # a table without the column
            return NO_TABLE
        if not abs(metric.score.of_sums(values[-1].sum(axis=0)) - known) <= _CLOSE:
            return OTHER_SCORE
        seeds.append(seed)
    return _Tables(values, seeds, images) if images else NO_TABLE
