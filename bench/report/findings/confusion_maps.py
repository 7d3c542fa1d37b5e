"""Heat maps of which class was taken for which, one for each of a group's best configurations."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.report.table_model import Cell, Group
from bench.results.loading import StoredTrial
from bench.results.predicted.confused_classes import Confusion, confusion_of, shown_name

MOST_MAPS, MOST_ON_PAGE = 8, 48  # of a group, best first, and of a page: 20 KB each at most
MOST_CLASSES = 12  # rows of a map; the classes with the fewest wrong pixels are one
_SENTENCES = 3  # of the most confused pairs


@dataclass(frozen=True)
class ConfusionMap:
    """The heat map of a configuration."""

    label: str
    classes: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]  # a row for each label, a cell for each prediction
    most: tuple[str, ...]  # sentences on the most confused pairs
    trials: str  # "3 trials"


@dataclass(frozen=True)
class ConfusionMaps:
    """The heat maps of a group."""

    maps: tuple[ConfusionMap, ...]
    not_recorded: tuple[str, ...]  # labels of configurations whose trials were scored before it was recorded
    left_out: int  # configurations for which there is no room


class MapRoom:
    """The room that a page has for heat maps."""

    def __init__(self, trials: Mapping[str, StoredTrial]):
        self.records = {folder: trial.record for folder, trial in trials.items()}
        self.left = MOST_ON_PAGE

    def of(self, group: Group) -> ConfusionMaps:
        """Make the maps of a group's best configurations."""
        rows = group.ranked[: min(MOST_MAPS, self.left)]
        maps, missing = [], []
        for row in rows:
            found = confusion_of(row.configuration, self.records)
            if found is None:
                missing.append(row.label)
            else:
                maps.append(_map(row.label, found))
        self.left -= len(maps)
        return ConfusionMaps(tuple(maps), tuple(missing), len(group.ranked) - len(rows))


def _map(label: str, found: Confusion) -> ConfusionMap:
    small = found.united(MOST_CLASSES)
    rows = [
        tuple(_cell(int(pixels), float(share)) for pixels, share in zip(*line, strict=True))
        for line in zip(small.matrix, small.shares(), strict=True)
    ]
    trials = f"{found.trials} trial{'s' * (found.trials > 1)}"
    trials += f" of {found.of}; the others didn't record it" if found.trials < found.of else ""
    return ConfusionMap(
        label, tuple(map(shown_name, small.classes)), tuple(rows), tuple(map(str, found.most(_SENTENCES))), trials
    )


def _cell(pixels: int, share: float) -> Cell:
    if not pixels:
        return Cell("")
    text = f"{100 * share:.1f}" if share >= 0.0005 else "<0.1"
    return Cell(text, title=f"{pixels:,} pixels, {share:.2%}", heat=round(100 * share))
