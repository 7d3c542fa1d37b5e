"""Tell records of one trial that agree from those that don't: copies and conflicts, in the same words everywhere."""

from collections.abc import Iterable

from bench.core.specs import FINAL_STATUSES, TrialRecord
from bench.results.clean_text import clean
from bench.results.loading import StoredTrial
from bench.results.merged.public_copy import public_record


def identity_of(record: TrialRecord) -> str:
    """Return what two records of the same trial have in common: key, device and repeat."""
    return repr((record.key, record.device, record.repeat))


def conflict(kept: StoredTrial, other: StoredTrial) -> str | None:
    """Describe two records of the same trial that disagree; None if they are equal but for what isn't published."""
    if kept.record.to_dict() == other.record.to_dict():
        return None
    if public_record(kept.record.to_dict()) == public_record(other.record.to_dict()):
        return None
    told = ", ".join(clean(record.status) + _score(record) for record in (kept.record, other.record))
    return f"Conflict: {clean(str(kept.folder))} kept, {clean(str(other.folder))} left out: {told}."


def _score(record: TrialRecord) -> str:
    value = record.metrics.get("mean_iou")
    return f" with mean IoU {value:.4f}" if isinstance(value, float) else ""


def drop_duplicates(trials: Iterable[StoredTrial]) -> tuple[list[StoredTrial], list[str]]:
    """Keep one trial of each identity, and return a line for each trial that is left out.

    An ok trial is kept first, otherwise one that need not run again, otherwise the latest.
    """
    same: dict[str, list[StoredTrial]] = {}
    for trial in trials:
        same.setdefault(identity_of(trial.record), []).append(trial)
    best = [max(some, key=_merit) for some in same.values()]
    return best, [
        conflict(kept, trial) or f"{clean(str(trial.folder))}: a copy of {clean(str(kept.folder))}, left out."
        for kept, some in zip(best, same.values(), strict=True)
        for trial in some
        if trial is not kept
    ]


def _merit(trial: StoredTrial) -> tuple[bool, bool, str]:
    record = trial.record
    return record.status == "ok", record.status in FINAL_STATUSES, clean(record.finished)
