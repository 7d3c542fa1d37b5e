"""Average ranks across data sets, with the critical difference of the Nemenyi test.

Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7: the data sets are the sample, so
the result is about data sets like these. Mean ranks closer than the critical difference may differ by chance.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from bench.report.labels import declared, labels_without
from bench.report.table_model import Group, Row
from bench.results.analysis.configurations import SAME, TUNING_FIELDS

FEWEST = 3  # data sets
LEVEL = 0.95
_OF_DATA = ("dataset", "data_fingerprint", "dataset_params")
_MAY_DIFFER = ("budget", "image_size", "evaluation_size", "crop")  # between data sets with one setting each
_WORDS = {"budget": "budget", "image_size": "image size", "evaluation_size": "evaluation size", "crop": "crop"}


@dataclass(frozen=True)
class Place:
    """A configuration on all data sets."""

    label: str
    mean: float  # the mean of its ranks
    ranks: tuple[float, ...]  # one per data set; equal scores share the mean of their ranks
    scores: tuple[float, ...]
    open: tuple[float, float]  # means of the best and of the worst possible rank on each data set


@dataclass(frozen=True)
class Across:
    """Configurations that were run on the same three or more data sets; the best mean rank first."""

    device: str
    data_sets: tuple[str, ...]
    places: tuple[Place, ...]
    friedman: float | None  # p-value of the test that all are equal; None for two configurations
    critical_difference: float
    cliques: tuple[tuple[int, int], ...]  # first and last place of each run without a significant difference
    note: str  # what differs between the data sets besides the data; empty: nothing
    setting: str  # budget and evaluation size, if they are the same for all data sets

    @property
    def title(self) -> str:
        """The title, such as `Average rank across 3 data sets, 10 epochs, at 128x128`."""
        return f"Average rank across {len(self.data_sets)} data sets{self.setting}"


def all_across(groups: Sequence[Group]) -> list[Across]:
    """Compute the average ranks for each device and protocol with three data sets or more."""
    machines: dict[tuple[str, str, int], list[Group]] = defaultdict(list)
    for group in groups:
        generation = group.rows[0].configuration.generation
        machines[group.fields["device"], group.fields["protocol"], generation].append(group)
    return [across for some in machines.values() for across in _of_machine(some)]


def _of_machine(groups: Sequence[Group]) -> list[Across]:
    """Compute the average ranks of one device.

    They are taken over groups with equal budget and size if there are any, otherwise over data sets that were run
    with a single setting.
    """
    alike: dict[tuple[str, ...], list[Group]] = defaultdict(list)
    for group in groups:
        tuning = (group.fields.get(name, "") for name in TUNING_FIELDS.values())
        alike[group.fields["budget"], group.fields["evaluation size"], *tuning].append(group)
    strict = [across for some in alike.values() if (across := _across(_largest(some), SAME_BUT_DATA, ""))]
    if strict:
        return strict
    times = Counter(group.fields["data set"] for group in groups)
    single = [group for group in groups if times[group.fields["data set"]] == 1]
    different = [_WORDS[name] for name in _MAY_DIFFER if len(set(_values(single, name))) > 1]
    note = f"The data sets also differ in {', '.join(different)}." if different else ""
    across = _across(single, [name for name in SAME_BUT_DATA if name not in _MAY_DIFFER], note)
    return [across] if across else []


SAME_BUT_DATA = (*(name for name in SAME if name not in _OF_DATA), "software")


def _largest(groups: Sequence[Group]) -> list[Group]:
    """Choose each data set's group with the most rows, since a data set may have been read in several ways."""
    by_data: dict[str, Group] = {}
    for group in sorted(groups, key=lambda group: len(group.ranked)):
        by_data[group.fields["data set"]] = group
    return [by_data[name] for name in sorted(by_data)]


def _values(groups: Sequence[Group], name: str) -> Iterator[str]:
    return (str(row.configuration.values[name]) for group in groups for row in group.ranked[:1])


def _across(groups: Sequence[Group], same: Sequence[str], note: str) -> Across | None:
    if len(groups) < FEWEST:
        return None
    known = [_by_values(group, same) for group in groups]
    shared = [key for key in known[0] if all(key in some for some in known)]
    if len(shared) < 2:
        return None
    rows = [[some[key] for key in shared] for some in known]  # by data set
    scores = np.array([_scores(group, some) for group, some in zip(groups, rows, strict=True)])  # (data sets, rows)
    goodness = np.array([group.metric.goodness(line) for group, line in zip(groups, scores, strict=True)])
    ranks = np.array([rankdata(-line) for line in goodness])
    spans = np.array([_open(group, some) for group, some in zip(groups, rows, strict=True)])  # (data sets, rows, 2)
    labels = labels_without([row.configuration for row in rows[0]], _OF_DATA)
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    places = tuple(
        Place(
            label=labels[i],
            mean=float(ranks[:, i].mean()),
            ranks=tuple(map(float, ranks[:, i])),
            scores=tuple(map(float, scores[:, i])),
            open=(float(spans[:, i, 0].mean()), float(spans[:, i, 1].mean())),
        )
        for i in order
    )
    difference = critical_difference(len(shared), len(groups))
    data_sets = tuple(group.fields["data set"] for group in groups)
    found = cliques([place.mean for place in places], difference)
    device, setting = groups[0].fields["device"], _setting(groups)
    return Across(device, data_sets, places, _friedman(goodness), difference, found, note, setting)


def _setting(groups: Sequence[Group]) -> str:
    """Write what is the same in all groups of budget and size: `, 10 epochs, at 128x128`."""
    budgets, sizes = ({group.fields[name] for group in groups} for name in ("budget", "evaluation size"))
    return (f", {budgets.pop()}" if len(budgets) == 1 else "") + (f", at {sizes.pop()}" if len(sizes) == 1 else "")


def _by_values(group: Group, same: Sequence[str]) -> dict[tuple[str, ...], Row]:
    """Return the ranked rows by the values of `same`; rows that share all of them (an edited plug-in) are left out."""
    keys = [declared(row.configuration.values, same) for row in group.ranked]
    often = Counter(keys)
    return {key: row for key, row in zip(keys, group.ranked, strict=True) if often[key] == 1}


def _scores(group: Group, rows: Sequence[Row]) -> list[float]:
    return [row.configuration.spread(group.metric.name).mean for row in rows]


def _open(group: Group, rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the best and the worst possible rank of each of these rows, given images and seeds."""
    place = {id(row): number for number, row in enumerate(group.ranked)}
    places = [place[id(row)] for row in rows]
    different = group.different[np.ix_(places, places)]
    order = np.array(places)
    above, below = order[:, None] > order, order[:, None] < order  # [i, j]: row j is better, worse than row i
    return [
        (1 + int(better), len(rows) - int(worse))
        for better, worse in zip((different & above).sum(axis=1), (different & below).sum(axis=1), strict=True)
    ]


def _friedman(goodness: NDArray[np.float64]) -> float | None:
    if goodness.shape[1] < 3 or (goodness == goodness[:, :1]).all():
        return None
    return float(friedmanchisquare(*goodness.T).pvalue)


def critical_difference(rows: int, data_sets: int) -> float:
    """Compute the critical difference of mean ranks at 5 % over all pairs: q sqrt(k (k + 1) / (6 N)).

    q is the quantile of the studentized range divided by sqrt(2).
    """
    q = float(studentized_range.ppf(LEVEL, rows, np.inf)) / math.sqrt(2)
    return q * math.sqrt(rows * (rows + 1) / (6 * data_sets))


def cliques(means: Collection[float], difference: float) -> tuple[tuple[int, int], ...]:
    """Return first and last place of each longest run of mean ranks (best first) closer than the difference."""
    values = np.array([*means])
    last = [int(np.searchsorted(values, value + difference, side="left")) - 1 for value in values]
    found = [(first, end) for first, end in enumerate(last) if end > first]
    return tuple((first, end) for first, end in found if first == 0 or last[first - 1] < end)
