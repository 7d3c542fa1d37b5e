"""The regression gate: a new set of records against a baseline, value by value.

Scores that are computed from sums over images go through the bootstrap of bootstrap.py, paired by image, and by seed if
both sides have the same seeds. A regression is a difference whose interval excludes 0 and that is greater than the
limit. Everything else is compared by its mean. classes.py decides which stored configurations are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.evaluation.image_table import ImageTable
from bench.results.analysis.bootstrap import Uncertainty, bootstrap
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.resampling import Score
from bench.results.gate.classes import TRIALS, match
from bench.results.gate.limits import RATIOS, Limit
from bench.results.gate.measured import Measured, Subject
from bench.results.gate.verdict import ALARMS, BETTER, OK, REGRESSION, UNJUDGED, Line, level_of
from bench.results.quantities import METRICS

_BROKEN = ("failed", "diverged", "out_of_memory")


def compare(
    base: Sequence[Subject], new: Sequence[Subject], limits: Sequence[Limit], alarms: float = ALARMS
) -> list[Line]:
    """Judge the new records by the stored ones of their hardware classes.

    Args:
        alarms: the probability of a false alarm over all intervals.

    Raises:
        BenchError: there is a limit for a metric that no trial of either side has.
    """
    limits = _recorded(limits, [*base, *new])
    pairs, lines = match(base, new, judges_memory=any(limit.is_memory for limit in limits))
    level = level_of(len(pairs) * sum(limit.metric in METRICS for limit in limits), alarms)
    return [line for pair in pairs for line in _judge(*pair, limits, level)] + lines


def _recorded(limits: Sequence[Limit], subjects: Sequence[Subject]) -> list[Limit]:
    names = {name for subject in subjects for trial in subject.trials for name in trial.values}
    kept = []
    for limit in limits:
        if limit.metric in names:
            kept.append(limit)
        elif limit.metric not in RATIOS and not limit.built_in:
            raise BenchError(unknown_name_message("metric", limit.metric, sorted(names), sorted(names)))
    return kept


def _judge(old: Subject, found: Subject, limits: Sequence[Limit], level: float) -> Iterator[Line]:
    broken = [trial for trial in found.trials if trial.status in _BROKEN]
    count = float(len(old.ok)), float(len(found.ok))
    if broken:
        reason = f"{len(broken)} of {len(found.trials)} trials are not ok: {broken[0].status}: {broken[0].reason}"
        yield Line(old.label, TRIALS, REGRESSION, *count, reason=reason)
    elif not found.ok:
        statuses = ", ".join(sorted({trial.status for trial in found.trials}))
        yield Line(old.label, TRIALS, UNJUDGED, *count, reason=f"No trial is ok ({statuses}). Run them again.")
    if found.ok:
        same = old.hardware == found.hardware
        for limit in limits if same else [limit for limit in limits if not limit.is_memory]:
            yield _score_line(old, found, limit, level) if limit.metric in METRICS else _value_line(old, found, limit)


def _score_line(old: Subject, found: Subject, limit: Limit, level: float) -> Line:
    reason = _unpaired(old, found, limit.metric)
    if reason:
        return _unjudged(old, found, limit, reason)
    base, new = _uncertainties(old, found, METRICS[limit.metric].score)
    difference = _difference(base, new, paired=_seeds(old) == _seeds(found), level=level)
    if difference is None or not np.isfinite([difference.mean, difference.low, difference.high]).all():
        return _unjudged(old, found, limit, "The per-image tables give no interval: too few images or classes.")
    significant = difference.low > 0 or difference.high < 0
    verdict = _verdict(limit, base.mean, difference.mean) if significant else OK
    return Line(
        old.label,
        limit.metric,
        verdict,
        base.mean,
        new.mean,
        difference.mean,
        difference.low,
        difference.high,
        str(limit),
    )


def _unpaired(old: Subject, found: Subject, metric: str) -> str:
    """Explain why the two can't be paired by image and compared over seeds; empty if they can."""
    if not old.images or not found.images:
        return "There are no readable per-image tables."
    if METRICS[metric].score.own and any(metric not in t.own for side in (old, found) for t in _with_counts(side)):
        return f"Some per-image tables have no column {metric}."
    if old.images != found.images:
        return "The test images differ from those of the baseline."
    seeds = [len(_seeds(side)) for side in (old, found)]
    if min(seeds) < 2:
        return f"Seeds: {seeds[0]} in the baseline, {seeds[1]} now; 2 are needed on both sides, 3 or more are better."
    return ""


def _with_counts(side: Subject) -> list[Measured]:
    return [trial for trial in side.ok if trial.counts is not None]


def _seeds(side: Subject) -> list[int]:
    return sorted({trial.seed for trial in _with_counts(side)})


def _uncertainties(old: Subject, found: Subject, score: Score) -> list[Uncertainty]:
    """Bootstrap base and new on the same draws of images, by ascending seed; repeats of a seed count as one."""
    sides = [_with_counts(side) for side in (old, found)]
    values = [[score.values(_table(trial, found.groups)) for trial in side] for side in sides]
    drawn = bootstrap(values, found.groups, score.of_sums, scale=score.scale)
    return [_by_seed(one, [trial.seed for trial in side]) for one, side in zip(drawn, sides, strict=True)]


def _table(trial: Measured, groups: tuple[str, ...]) -> ImageTable:
    if trial.counts is None:
        raise BenchError("A trial without a per-image table has no scores of single images.")
    return ImageTable(groups, groups, trial.counts, None, trial.own)


def _by_seed(one: Uncertainty, seeds: Sequence[int]) -> Uncertainty:
    scores = [one.scores[np.array(seeds) == seed].mean() for seed in sorted(set(seeds))]
    return replace(one, scores=np.array(scores))


def _difference(base: Uncertainty, new: Uncertainty, *, paired: bool, level: float) -> Interval | None:
    """Return new - base; paired by seed if the seeds are equal, since both share the luck of the initial weights."""
    if not paired:
        return new.minus(base, level=level)
    return replace(new.change_from(base), level=level).interval if len(new.scores) > 1 else None


def _value_line(old: Subject, found: Subject, limit: Limit) -> Line:
    base, new = old.mean(limit.metric), found.mean(limit.metric)
    if base is None or new is None:
        side = "the baseline" if base is None else "the new records"
        return _unjudged(old, found, limit, f"Not recorded in {side}.")
    if limit.is_memory and old.memory_method != found.memory_method:
        reason = f"Measured otherwise: {old.memory_method} in the baseline, {found.memory_method} now."
        return _unjudged(old, found, limit, reason)
    return Line(old.label, limit.metric, _verdict(limit, base, new - base), base, new, new - base, limit=str(limit))


def _unjudged(old: Subject, found: Subject, limit: Limit, reason: str) -> Line:
    values = old.mean(limit.metric), found.mean(limit.metric)
    return Line(old.label, limit.metric, UNJUDGED, *values, limit=str(limit), reason=reason)


def _verdict(limit: Limit, base: float, change: float) -> str:
    if not limit.allows(base, change):
        return REGRESSION
    return OK if limit.allows(base, -change) else BETTER
