"""Choose the stored results of `bench robustness` that can be compared: equal images and equal corruptions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.evaluation.corruptions.corruption_table import Condition, conditions
from bench.results.loading import StoredTrial
from bench.results.robustness.condition_files import StoredCondition, stored

CLEAN = Condition()
Results = Mapping[Condition, StoredCondition]


@dataclass(frozen=True)
class ScoredTrial:
    """A trial's results on the chosen images."""

    label: str  # of its configuration
    seed: float
    results: Results


@dataclass(frozen=True)
class Comparable:
    """The trials that are compared, and on what."""

    images: int
    conditions: tuple[Condition, ...]  # clean images first
    trials: tuple[ScoredTrial, ...]
    notes: tuple[str, ...]


def comparable(
    members: Sequence[tuple[str, Sequence[StoredTrial]]], wanted: Iterable[Condition] | None = None
) -> Comparable | None:
    """Choose the trials with results, and the conditions that all of them have; None if there are none.

    Args:
        members: a label and the trials of each configuration; all have the same data.
        wanted: the conditions to use; None for all.
    """
    found = [(label, trial, stored(trial)) for label, trials in members for trial in trials]
    images = _usual_number([results for *_, results in found])
    if images is None:
        return None
    allowed = set(conditions() if wanted is None else wanted) | {CLEAN}
    common, kept, notes = allowed, [], []
    for label, trial, results in sorted(found, key=lambda one: -len(one[2].get(images, {}))):
        mine = {one: result for one, result in results.get(images, {}).items() if one in allowed}
        seed = trial.record.config["seed"]
        if CLEAN in mine and len(common & mine.keys()) > 1:
            common = common & mine.keys()
            kept.append(ScoredTrial(label, seed, mine))
            notes += _other_protocol(f"{label}, seed {seed}", trial, mine[CLEAN])
        else:
            notes.append(f"{label}, seed {seed}: not scored on the same {images} images and corruptions.")
    more = max((len(trial.results) for trial in kept), default=0) - len(common)
    if more:
        notes.append(f"{more} more kinds and severities were measured, but not for all of these trials.")
    order = tuple(one for one in conditions() if one in common)
    return Comparable(images, order, tuple(kept), tuple(notes)) if kept else None


def _other_protocol(name: str, trial: StoredTrial, clean: StoredCondition) -> list[str]:
    """Say so if the trial was tested under another protocol than it was scored here."""
    own = trial.record.protocol_version
    if clean.protocol in (None, own):
        return []
    return [
        f"{name}: the run was tested under protocol {own}, and its pictures are decoded under {clean.protocol} here, "
        "so its clean score may differ from that of the leaderboard."
    ]


def _usual_number(found: Iterable[Mapping[int, Results]]) -> int | None:
    """Return the number of images that most trials have results on, the greatest of equally frequent ones."""
    numbers = [images for some in found for images, results in some.items() if CLEAN in results and len(results) > 1]
    return max(numbers, key=lambda images: (numbers.count(images), images), default=None)
