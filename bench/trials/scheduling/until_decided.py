"""Add seeds to those configurations whose order is open, until it is decided or they have the most seeds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import pandas as pd

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import OPTIONS, POOLED, TrialConfig
from bench.results.analysis import sequential
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import Configuration, group_key, pool
from bench.results.analysis.uncertainty import measure
from bench.results.quantities import MEAN_IOU

Train = Callable[[Sequence[TrialConfig]], Sequence[TrialRecord]]  # trains what is not done; returns the records of all
Frame = Callable[[Sequence[TrialRecord]], pd.DataFrame]


@dataclass(frozen=True)
class Rule:
    """The limits within which seeds are added."""

    most: int = 10  # seeds of a configuration
    top: int = 3  # places whose order is asked for
    fewest: ClassVar[int] = sequential.FEWEST  # seeds of a configuration to begin with

    def check(self, first: int) -> None:
        """Raise BenchError if the rule can't be followed from `first` seeds each."""
        if first < sequential.FEWEST:
            raise BenchError(f"--seeds is {first}. --until-decided needs {sequential.FEWEST} or more to begin with.")
        if not first <= self.most <= sequential.MOST:
            raise BenchError(f"--max-seeds is {self.most}. Accepted: {first} (--seeds) to {sequential.MOST}.")
        if self.top < 1:
            raise BenchError(f"--top is {self.top}. Accepted: the number of places, 1 or more, such as 3.")


def train_until_decided(configs: Sequence[TrialConfig], rule: Rule, train: Train, frame: Frame) -> list[TrialRecord]:
    """Train the grid, then seed after seed of what is open; return the records of all trials.

    Every decision follows from the records, so that the same command goes on where it was interrupted.
    """
    planned = [replace(config, max_seeds=rule.most) for config in configs]
    records = list(train(planned))
    while added := list(next_seeds(records, frame(records), planned, rule)):
        planned += added
        records += train(added)
    return records


def next_seeds(
    records: Sequence[TrialRecord], frame: pd.DataFrame, planned: Sequence[TrialConfig], rule: Rule
) -> Iterator[TrialConfig]:
    """Yield a trial for each configuration that needs another seed.

    Args:
        frame: of the records.
        planned: all trials so far; one that failed counts as a seed.
    """
    seeds: dict[tuple[object, ...], list[TrialConfig]] = {}
    for config in planned:
        seeds.setdefault(_options(config), []).append(config)
    options = {record.configuration: _options(TrialConfig.from_dict(record.config)) for record in records}
    for member in _open(pool(frame), rule.top):
        tried = {config.seed: config for config in seeds[options[str(member.values["configuration"])]]}
        if len(tried) < rule.most:
            last = max(tried)
            yield replace(tried[last], seed=last + 1, repeat=0)


def _options(config: TrialConfig) -> tuple[object, ...]:
    """Return the values in which the configurations of a grid differ; of a file its name, wherever it lies."""
    values = config.to_dict()
    names = (o.field for o in OPTIONS.values() if o.axis and o.in_key and o.field not in POOLED)
    return tuple(repr(Path(values[name]).name if name == "weights" else values[name]) for name in names)


def _open(configurations: Sequence[Configuration], top: int) -> Iterator[Configuration]:
    for _, some in groupby(sorted(configurations, key=group_key), key=group_key):
        rows = [(m, row) for m, row in _measured(list(some)) if len(row.scores) > 1]
        rows.sort(key=lambda pair: -pair[1].mean)
        for place in sorted(sequential.undecided([row for _, row in rows], top)):
            yield rows[place][0]


def _measured(members: Sequence[Configuration]) -> Iterator[tuple[Configuration, Uncertainty]]:
    ok = [member for member in members if member.seeds]
    for member, row in zip(ok, measure(ok, MEAN_IOU).rows, strict=True):
        if isinstance(row, Uncertainty):
            yield member, row
