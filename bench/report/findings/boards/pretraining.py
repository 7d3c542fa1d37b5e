"""Tabulate what pretraining is worth: a model from random and pretrained weights, same budget, paired by seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.report.findings.boards.board import Board, Topic
from bench.report.labels import labels_without, weights_name
from bench.report.table_model import Cell, Group, Row
from bench.report.text.setting_texts import value_text
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import SAME, Configuration
from bench.results.analysis.uncertainty import Paired, paired_by_seed
from bench.results.clean_text import clean, shorten
from bench.results.loading import StoredTrial
from bench.results.quantities import MISSING
from bench.results.quantities.quantity import Metric

_SCRATCH, _IMAGENET = "none", "imagenet"
_SAME = tuple(name for name in SAME if name != "weights")
_DIGITS, _NAME = 8, 36  # of a file's hash; characters of its name


@dataclass(frozen=True, eq=False)
class Worth:
    """A pretrained configuration beside the same one from scratch."""

    label: str
    weights: str  # ImageNet, or a file's name
    sha256: str  # of the file; empty if it is none, or not recorded
    found: Paired | str  # a text says why there is none
    seeds: int  # that both have

    @property
    def weights_text(self) -> str:
        """Name the weights, a file with the first digits of its hash."""
        hashed = f" (SHA-256 {self.sha256[:_DIGITS]})" if self.sha256 else ""
        return f"{shorten(self.weights, _NAME)}{hashed}"

    def verdict(self, metric: Metric) -> str:
        """Return better, worse, or open where the difference has no interval or 0 is in it."""
        if isinstance(self.found, str) or self.seeds < 2:
            return "open"
        interval = self.found.change.interval
        bounds = metric.goodness(interval.low), metric.goodness(interval.high)
        return "better" if min(bounds) > 0 else "worse" if max(bounds) < 0 else "open"


@dataclass(frozen=True, eq=False)
class PretrainingBoard(Board):
    """The pretrained rows of a group that it also has from scratch, the best first."""

    topic = Topic(
        name="pretraining",
        link="Pretraining",
        heading="What pretraining is worth",
        meaning="The same model on the same data with the same settings and budget, from random weights (scratch) and "
        "from pretrained ones. Scores are means over the seeds that both have. The difference, pretrained less "
        "scratch, is paired by seed and by test image and has its 95 % interval. It is what pretraining is worth at "
        "this budget, and a longer one may leave less of it.",
        columns=("weights", "from scratch", "pretrained", "difference", "seeds"),
        texts=frozenset({"weights"}),
    )
    metric: Metric
    found: tuple[Worth, ...]

    @property
    def rows(self) -> list[tuple[str, tuple[Cell, ...]]]:
        """See `Board`."""
        return [(one.label, _cells(one, self.metric)) for one in self.found]

    @property
    def notes(self) -> list[str]:
        """Count the verdicts, and say why rows have no interval."""
        count = pd.Series([one.verdict(self.metric) for one in self.found]).value_counts()
        told = ", ".join(f"{word} in {count.get(word, 0)}" for word in ("better", "worse", "open"))
        lacking = [f"{one.label}, {one.weights_text}: {one.found}." for one in self.found if isinstance(one.found, str)]
        single = any(one.seeds == 1 for one in self.found)
        return [
            f"The score ({self.metric.heading}) with pretrained weights, of {len(self.found)} rows: {told}.",
            *lacking,
            *(["A row of one seed has no interval; run both with --seeds 3 or more."] if single else []),
        ]

    @property
    def records(self) -> list[dict[str, Any]]:
        """See `Board`."""
        return [_record(self, one) for one in self.found]


def pretraining_boards(groups: Iterable[Group], trials: Mapping[str, StoredTrial]) -> list[PretrainingBoard]:
    """Make the tables of all groups; a group without a row that is there from scratch and pretrained has none.

    Args:
        trials: by folder; their records have the hashes of weights files.
    """
    found = [(group, _pairs(group.ranked, trials)) for group in groups]
    return [
        PretrainingBoard(f"{group.title}: what pretraining is worth", group.metric, _worths(group, pairs, trials))
        for group, pairs in found
        if pairs
    ]


def _pairs(ranked: Sequence[Row], trials: Mapping[str, StoredTrial]) -> list[tuple[Configuration, Configuration]]:
    """Pair each pretrained configuration with the one from scratch that was finished last, best pretrained first."""
    members = [row.configuration for row in ranked if _may_be_pretrained(row.configuration)]
    scratch: dict[tuple[str, ...], Configuration] = {}
    for member in members:
        if member.values["weights"] == _SCRATCH:
            known = scratch.setdefault(_key(member, trials), member)
            if max(known.ok["finished"]) < max(member.ok["finished"]):
                scratch[_key(member, trials)] = member
    pretrained = [member for member in members if member.values["weights"] != _SCRATCH]
    return [(scratch[key], member) for member in pretrained if (key := _key(member, trials)) in scratch]


def _may_be_pretrained(member: Configuration) -> bool:
    """Return whether it has a backbone, and didn't start from another trial."""
    values = {name: value_text(member.values[name]) for name in ("backbone", "weights", "init_from")}
    return bool(values["backbone"] and values["weights"] and not values["init_from"])


def _key(member: Configuration, trials: Mapping[str, StoredTrial]) -> tuple[str, ...]:
    """Return what both have in common: their settings, and the hash of a plug-in's code where it is recorded."""
    return *(value_text(member.values[name]) for name in _SAME), _recorded("source", member, trials)


def _recorded(name: str, member: Configuration, trials: Mapping[str, StoredTrial]) -> str:
    """Return a text from the part `weights` of the records; empty if none has it."""
    parts = (trials[folder].record.weights for folder in member.ok["folder"])
    return next((clean(part[name]) for part in parts if isinstance(part, Mapping) and part.get(name)), "")


def _worths(
    group: Group, pairs: Sequence[tuple[Configuration, Configuration]], trials: Mapping[str, StoredTrial]
) -> tuple[Worth, ...]:
    scratch = list({id(one): one for one, _ in pairs}.values())
    label = dict(zip(map(id, scratch), labels_without(scratch, ()), strict=True))
    found = []
    for one, other in pairs:
        paired = paired_by_seed(one, other, group.metric)
        seeds = len(set(one.good_seeds) & set(other.good_seeds))
        name, sha256 = weights_name(other), _recorded("backbone_sha256", other, trials)
        weights = ("ImageNet", "") if name == _IMAGENET else (name, sha256)
        found.append(Worth(label[id(one)], *weights, paired, seeds))
    return tuple(found)


def _cells(one: Worth, metric: Metric) -> tuple[Cell, ...]:
    title = f"{one.weights}, SHA-256 {one.sha256}" if one.sha256 else one.weights
    weights, seeds = Cell(one.weights_text, one.weights, title), Cell(str(one.seeds), float(one.seeds))
    if isinstance(one.found, str):
        return weights, *[Cell(MISSING, None, one.found)] * 3, seeds
    paired = one.found
    scores = [Cell(metric.write(score.mean), score.mean) for score in (paired.one, paired.other)]
    return weights, *scores, _change_cell(paired.change, metric), seeds


def _change_cell(change: Uncertainty, metric: Metric) -> Cell:
    text = _signed(change.mean, metric)
    if len(change.scores) < 2:
        return Cell(text, change.mean, "one seed: no interval")
    interval = change.interval
    bounds = f"[{_signed(interval.low, metric)}, {_signed(interval.high, metric)}]"
    return Cell(f"{text} {bounds}", change.mean, f"95 % interval over {metric.interval_over}")


def _signed(value: float, metric: Metric) -> str:
    return f"{'-' if value < 0 else '+'}{metric.write(abs(value))}"


def _record(board: PretrainingBoard, one: Worth) -> dict[str, Any]:
    found = {"table": board.title, "configuration": one.label, "weights": one.weights, "sha256": one.sha256}
    paired = None if isinstance(one.found, str) else one.found
    interval = paired.change.interval if paired and one.seeds > 1 else None
    return found | {
        "metric": board.metric.name,
        "seeds": one.seeds,
        "scratch": paired.one.mean if paired else None,
        "pretrained": paired.other.mean if paired else None,
        "difference": paired.change.mean if paired else None,
        "difference_low": interval.low if interval else None,
        "difference_high": interval.high if interval else None,
        "note": one.found if isinstance(one.found, str) else "",
    }
