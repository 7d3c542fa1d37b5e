"""Tests of the runner that adds seeds until the order is decided, and of what a report says of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import CLASSES, fake_config, fake_record, table_metrics

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.report.leaderboard import groups
from bench.results.dataframe import trials_frame
from bench.results.loading import StoredTrial
from bench.results.trial_files import IMAGES
from bench.trials.scheduling.until_decided import Rule, train_until_decided

RULE = Rule(most=8, top=2)


def table_of(quality: float) -> pd.DataFrame:
    """A per-image table in which each image has that share of right pixels: the images add no noise."""
    right = round(100_000 * quality)
    names = [f"image_{i}" for i in range(6)]
    counts = {"tp": right, "fp": 100_000 - right, "fn": 100_000 - right}
    columns = {f"{kind}_{c}": [n] * len(names) for c in range(len(CLASSES)) for kind, n in counts.items()}
    return pd.DataFrame({"name": names, "group": names, **columns})


class Grid:
    """Trials on disk whose architectures have known qualities and spreads over the seeds.

    Args:
        qualities: the mean quality and its standard deviation of each architecture.
        failing: the architectures whose trials fail.
    """

    def __init__(self, folder, qualities, failing=()):
        self.folder, self.qualities, self.failing = folder, qualities, failing
        self.configs = [fake_config(arch, seed=seed) for seed in range(3) for arch in qualities]
        self.trained: list[TrialConfig] = []

    def train(self, configs):
        self.trained += configs
        return [self.record(config) for config in configs]

    def record(self, config) -> TrialRecord:
        changes = {"configuration": config.arch, "key": f"{config.arch}-{config.seed}"}
        if config.arch in self.failing:
            return replace(fake_record(config)[0], status="failed", metrics={}, **changes)
        mean, sd = self.qualities[config.arch]
        rng = np.random.default_rng([config.seed, sum(map(ord, config.arch))])
        table = table_of(mean + rng.normal(0, sd))
        path = self.folder / f"{config.arch}-{config.seed}"
        path.mkdir(exist_ok=True)
        table.to_parquet(path / IMAGES)
        return replace(fake_record(config)[0], metrics=table_metrics(table), **changes)

    def frame(self, records):
        return trials_frame(StoredTrial(r, self.folder / f"{r.config['arch']}-{r.config['seed']}") for r in records)

    def run(self, rule=RULE):
        records = train_until_decided(self.configs, rule, self.train, self.frame)
        return {arch: sum(config.arch == arch for config in self.trained) for arch in self.qualities}, records


def test_seeds_go_only_to_those_whose_order_is_open(tmp_path):
    grid = Grid(tmp_path, {"unet": (0.9, 0.01), "fcn": (0.9, 0.01), "segnet": (0.5, 0.001)})
    spent, _ = grid.run()
    assert spent["segnet"] == 3
    assert spent["unet"] == spent["fcn"] > 3
    assert all(config.max_seeds == RULE.most for config in grid.trained)
    assert len({(config.arch, config.seed) for config in grid.trained}) == len(grid.trained)


def test_no_seed_is_added_where_the_order_is_plain(tmp_path):
    spent, records = Grid(tmp_path, {"unet": (0.9, 0.001), "fcn": (0.7, 0.001), "segnet": (0.5, 0.001)}).run()
    assert set(spent.values()) == {3}
    assert len(records) == 9


def test_one_that_always_fails_gets_no_more_seeds(tmp_path):
    spent, _ = Grid(
        tmp_path, {"unet": (0.9, 0.01), "fcn": (0.9, 0.01), "segnet": (0.5, 0.001)}, ["segnet", "fcn"]
    ).run()
    assert spent == {"unet": 3, "fcn": 3, "segnet": 3}


def test_the_same_command_trains_nothing_anew(tmp_path):
    qualities = {"unet": (0.9, 0.01), "fcn": (0.9, 0.01)}
    first, again = Grid(tmp_path, qualities), Grid(tmp_path, qualities)
    assert first.run()[0] == again.run()[0]
    assert first.trained == again.trained


def test_a_report_says_how_the_seeds_were_spent_and_widens_the_intervals(tmp_path):
    grid = Grid(tmp_path, {"unet": (0.9, 0.01), "fcn": (0.8, 0.01)})
    _, records = grid.run()
    fixed = [replace(record, config={**record.config, "max_seeds": 0}) for record in records]
    (added,), (plain,) = (groups(grid.frame(some)) for some in (records, fixed))
    assert any("Spent: unet" in note and "fcn" in note for note in added.notes)
    assert not any("Spent" in note for note in plain.notes)
    for wide, narrow in zip(added.rows, plain.rows, strict=True):
        assert wide.uncertainty.interval.low < narrow.uncertainty.interval.low


@pytest.mark.parametrize(
    ("rule", "first", "message"),
    [
        (Rule(), 2, "--seeds is 2. --until-decided needs 3 or more"),
        (Rule(most=2), 3, r"--max-seeds is 2. Accepted: 3 \(--seeds\) to 50"),
        (Rule(most=51), 3, "--max-seeds is 51"),
        (Rule(top=0), 3, "--top is 0. Accepted"),
    ],
)
def test_a_rule_that_can_not_be_followed_is_one_line(rule, first, message):
    with pytest.raises(BenchError, match=message):
        rule.check(first)
