"""Trials that differ only in seed, repeat and fold, pooled: mean and sample standard deviation over the seeds."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION
from bench.core.trial_config import OPTIONS, POOLED
from bench.results.analysis.quiet import SHARE, left_out, without_busy
from bench.results.quantities import QUANTITIES
from bench.results.software import tables

SAME = (*(o.column for o in OPTIONS.values() if o.in_key and o.field not in POOLED), "evaluation_size")
SAME += ("data_fingerprint", "device", "protocol_version")
"""The columns in which the trials of one configuration agree, if no `configuration` is recorded."""
TUNING_FIELDS = {
    "tune": "tuning trials",
    "tune_budget": "share of a tuning trial",
    "search": "search space",
    "tune_sampler": "tuning sampler",
    "tune_seed": "tuning seed",
    "tune_prune": "tuning trials ended early",
}
"""The columns that declare how options were tuned, with their names in a report; without `tune`, they mean nothing."""
COMPARABLE = {
    "dataset": "data set",
    "data_fingerprint": "data fingerprint",
    "evaluation_size": "evaluation size",
    "test_limit": "test limit",
    "budget": "budget",
    "target": "target",
    "folds": "folds",
    **TUNING_FIELDS,
    "device": "device",
    "protocol_version": "protocol",
}
"""The columns in which trials that are ranked together agree, with the name of each in a report."""


@dataclass(frozen=True)
class Spread:
    """A value over the seeds of a configuration."""

    mean: float  # NaN if no seed has the value, or if some seed lacks a value that each must have
    sd: float | None  # sample standard deviation (n - 1); None for fewer than two seeds
    n: int  # the number of seeds that have the value


NOTHING = Spread(float("nan"), None, 0)


@dataclass(frozen=True, eq=False)
class Configuration:
    """All trials of one configuration on one device."""

    values: dict[str, object]  # SAME, `configuration` and `software`, of an ok trial if there is one
    spreads: dict[str, Spread]  # of every number column, over the ok trials
    trials: pd.DataFrame  # the rows of the frame, failed ones included
    generation: int = 0  # the number of the table of software that it is ranked in; 0 has the newest
    versions: str = ""  # the name of that table; empty if there is only one

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The ok trials."""
        return self.trials[self.trials["status"] == "ok"]

    @cached_property
    def timed(self) -> pd.DataFrame:
        """The ok trials whose timings count: those of a busy machine don't, if there are quiet ones."""
        return self.ok[~left_out(self.ok, pd.Series(0, self.ok.index))]

    @cached_property
    def good_seeds(self) -> tuple[float, ...]:
        """The different seeds of the ok trials, in order."""
        return tuple(sorted({seed for seed in self.ok["seed"].tolist() if not math.isnan(seed)}))

    @property
    def seeds(self) -> int:
        """The number of different seeds that are ok."""
        return len(self.good_seeds)

    @property
    def total_seconds(self) -> float:
        """The wall time of all trials of the configuration, and of the tuning trials by which it was chosen."""
        tuning = self.spread("tuning_seconds").mean
        return float(self.trials["wall_seconds"].sum()) + (0.0 if math.isnan(tuning) else tuning)

    @property
    def failed(self) -> int:
        """The number of trials that are not ok."""
        return len(self.trials) - len(self.ok)

    @property
    def not_ok(self) -> str:
        """The trials that are not ok as a text, such as `1 failed, 2 interrupted`; empty if all are ok."""
        interrupted = int((self.trials["status"] == "interrupted").sum())
        counts = {"failed": self.failed - interrupted, "interrupted": interrupted}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    @property
    def others_share(self) -> float:
        """The share of the CPU that other processes took while its speeds were measured; NaN if not recorded."""
        return self.spread(SHARE).mean

    def spread(self, column: str) -> Spread:
        """Return mean and spread of a column; NaN and n = 0 if no trial has it."""
        return self.spreads.get(column, NOTHING)


def group_key(configuration: Configuration) -> tuple[str, ...]:
    """Return what configurations that are ranked together have in common."""
    return *(str(comparable(configuration.values, name)) for name in COMPARABLE), configuration.versions


def comparable(values: Mapping[str, object], name: str) -> object:
    """Return the value of one of COMPARABLE by which configurations are ranked together.

    At native size rows of several image sizes stand in one table. The protocol of a smaller size only says that its
    JPEGs were read at a fraction of their size, so it sets no rows apart there.
    """
    native = values["evaluation_size"] == "native" and values[name] == REDUCED_PROTOCOL_VERSION
    return float(PROTOCOL_VERSION) if name == "protocol_version" and native else values[name]


def pool(frame: pd.DataFrame) -> list[Configuration]:
    """Pool a frame of `load_results` into configurations, in the order of their first trials.

    Repeats and folds of one seed are averaged first, so that n counts seeds. Trials are pooled by the record's
    `configuration`, which identifies plug-ins and weights files by content; a record without it is pooled by the
    columns in SAME. Trials of another version of the backend or of Keras are another configuration. Speeds measured
    while others kept the CPU busy are left out where the configuration has quiet ones.
    """
    if frame.empty:
        return []
    number = _numbers(frame)
    numeric = [c for c in frame.select_dtypes("number").columns if c not in POOLED]
    ok = frame["status"] == "ok"
    counted = without_busy(frame, number)
    per_seed = counted.loc[ok, numeric].groupby([number[ok], frame.loc[ok, "seed"]], dropna=False).mean()
    over_seeds = per_seed.groupby(level=0)
    means, counts = over_seeds.mean(), over_seeds.count()
    for name in (n for n in numeric if n in QUANTITIES and QUANTITIES[n].every_seed):
        means.loc[counts[name] < over_seeds.size(), name] = math.nan
    tables = [table.to_numpy() for table in (means, over_seeds.std(ddof=1), counts)]
    place_of = {index: place for place, index in enumerate(means.index)}
    frame = frame.sort_values("status", key=lambda status: status != "ok", kind="stable")  # ok trials first
    configurations = []
    groups = frame.groupby(number)
    firsts = (
        groups.head(1)
        .sort_index(key=lambda index: number[index])[[*SAME, "configuration", "software"]]
        .to_dict("records")
    )
    ranked_in = _tables(firsts, [index in place_of for index, _ in groups])
    for (index, rows), first, table in zip(groups, firsts, ranked_in, strict=True):
        spreads = {}
        if (place := place_of.get(index)) is not None:
            values = zip(numeric, *(table[place].tolist() for table in tables), strict=True)
            spreads = {c: Spread(m, s if n > 1 else None, int(n)) for c, m, s, n in values}
        configurations.append(Configuration(first, spreads, rows, *table))
    return configurations


def _numbers(frame: pd.DataFrame) -> pd.Series:
    """Number the configurations in the order in which they appear; return each row's number."""
    known = frame["configuration"] != ""
    always = ["configuration", "device", "protocol_version", "software"]
    others = frame[[c for c in SAME if c not in always]].astype(object)
    others[known] = ""  # the hash covers them
    return pd.concat([frame[always], others], axis=1).groupby([*always, *others], dropna=False, sort=False).ngroup()


def _tables(members: Sequence[Mapping[str, object]], scored: Sequence[bool]) -> list[tuple[int, str]]:
    """Return the number and the name of the table of software that each configuration, given by values, is ranked in.

    All budgets have the same tables. A configuration that has no ok trial, and thus no rank, makes no table of its own.
    """
    level = [tuple(str(comparable(values, name)) for name in COMPARABLE if name != "budget") for values in members]
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for key, values, ok in zip(level, members, scored, strict=True):
        found[key] |= {str(values["software"])} if ok else set()
    named = {key: tables(some) for key, some in found.items()}
    first = {key: next(iter(some.values()), (0, "")) for key, some in named.items()}
    return [named[key].get(str(values["software"]), first[key]) for key, values in zip(level, members, strict=True)]
