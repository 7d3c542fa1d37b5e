"""Folds: how images are divided, what the trials of a configuration share, and what the interval then covers."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from fake_results import CLASSES, fake_config, fake_record, fake_table, table_metrics, write_trial
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli import app
from bench.commands import verify
from bench.config import grid
from bench.core.errors import BenchError
from bench.data.loading.images import Images
from bench.data.selection.folds import in_fold
from bench.report.findings.boards.fold_ranks import fold_boards
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.analysis.bootstrap import bootstrap
from bench.results.analysis.configurations import pool
from bench.results.analysis.cross_validation.over_folds import NOT_EVERY_FOLD, Measured, joined
from bench.results.analysis.uncertainty import measure
from bench.results.dataframe import trials_frame
from bench.results.loading import load
from bench.trials.identity import trial_key
from tests.test_bootstrap import iou_of_class, true_iou


@dataclass(frozen=True)
class Listed(Images):
    """Images of which only the names matter."""

    packed = True

    def rows(self, order, *, native=False):
        raise NotImplementedError

    def check_unchanged(self):
        pass


def listed(sizes, splits=None, **changes):
    names = [(f"g{group}", f"g{group}_{i}") for group, size in enumerate(sizes) for i in range(size)]
    facts = {"fingerprint": "f", "protocol": 1, "size": (8, 8), "classes": CLASSES, "notes": (), "warnings": ()}
    columns = [tuple(column) for column in zip(*names, strict=True)]
    made = Listed(names=columns[1], groups=columns[0], splits=tuple(splits or ["train"] * len(names)), **facts)
    return replace(made, **changes)


def division(images, folds, **params):
    """Return the splits of each image, by name, fold after fold."""
    found = (in_fold(images, folds, fold, params).splits for fold in range(1, folds + 1))
    return [dict(zip(images.names, splits, strict=True)) for splits in found]


@given(st.lists(st.integers(1, 3), min_size=6, max_size=30), st.integers(2, 6), st.randoms())
def test_each_image_is_tested_once_and_groups_stay_whole_in_any_order(sizes, folds, random):
    images = listed(sizes)
    found = division(images, folds)
    order = list(range(len(images.names)))
    random.shuffle(order)
    columns = {n: tuple(getattr(images, n)[i] for i in order) for n in ("names", "groups", "splits")}
    moved = replace(images, **columns)
    assert division(moved, folds) == found
    for splits in found:
        by_group = {
            group: {splits[name] for name in images.names if name.startswith(f"{group}_")} for group in {*images.groups}
        }
        assert all(len(some) == 1 for some in by_group.values())
        assert set(splits.values()) == {"train", "val", "test"}
    assert all([splits[name] for splits in found].count("test") == 1 for name in images.names)
    tested = [Counter(splits.values())["test"] for splits in found]
    assert max(tested) - min(tested) <= max(sizes)


def test_a_test_split_that_the_data_set_fixes_stays_and_each_other_image_validates_once():
    splits = ["test"] * 4 + ["train"] * 10 + ["val"] * 2
    images = listed([1] * 16, splits, fixed_test=True)
    found = division(images, 3)
    for one in found:
        assert [name for name, split in one.items() if split == "test"] == list(images.names[:4])
    assert all([one[name] for one in found].count("val") == 1 for name in images.names[4:])
    assert "fixes the test split" in in_fold(images, 3, 1, {}).notes[-1]


@pytest.mark.parametrize(
    ("sizes", "folds", "params", "said"),
    [
        ([4, 4, 4], 5, {}, "--folds 5 divides 3 groups of images, and a group stays whole. Give another --folds"),
        ([9, 1, 1, 1], 2, {}, "--folds 2 leaves 1 of 4 groups beside one fold, and training and validation need 2"),
        ([4, 4, 4], 3, {"sample_splits": "train"}, "sample_splits=train leaves images out of training alone"),
    ],
)
def test_folds_that_cannot_be_made_say_why(sizes, folds, params, said):
    with pytest.raises(BenchError, match=said):
        in_fold(listed(sizes), folds, 1, params)


def test_single_images_are_divided_where_groups_are_given_up():
    assert {len({one[f"g0_{i}"] for i in range(9)}) for one in division(listed([9]), 3, split="random")} == {3}


def test_a_grid_has_a_trial_for_each_fold_and_one_configuration():
    trials = grid.configs({"arch": "fcn8", "dataset": "shapes", "folds": "3", "seeds": "2"})
    assert [(one.seed, one.fold) for one in trials] == [(s, f) for s in (0, 1) for f in (1, 2, 3)]
    assert len({trial_key(one, "f") for one in trials}) == 6
    assert len({trial_key(one.pooled, "f") for one in trials}) == 1
    (single,) = grid.configs({"arch": "fcn8", "dataset": "shapes"})
    assert trial_key(single, "f") != trial_key(trials[0].pooled, "f")
    for value in ("1", "101", "-2", "x"):
        with pytest.raises(BenchError, match="--folds is"):
            grid.configs({"arch": "fcn8", "dataset": "shapes", "folds": value})


def simulated(rng, folds, influence, seeds, images=60):
    """Make the tables of one configuration: each image moves its own score, and those of models trained on it."""
    difficulty, lesson = rng.normal(0, 0.1, images), rng.normal(0, influence, images)
    fold_of = np.arange(images) % folds
    parts = []
    for fold in range(folds):
        mine, taught = fold_of == fold, 0.1 * lesson[fold_of != fold].mean()
        noise = rng.normal(0, 0.005, seeds)
        right = [0.7 + taught + one + difficulty[mine] for one in noise]
        tables = [np.stack([r, 0.5 * (1 - r), 1 - r], axis=1) for r in right]
        (found,) = bootstrap([tables], [str(i) for i in np.flatnonzero(mine)], iou_of_class, seed=fold)
        parts.append(Measured((found,), tuple(map(str, np.flatnonzero(mine))), int(mine.sum())))
    return joined(parts)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("repeats", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_interval_covers_the_chance_of_what_was_trained_on(seeds, repeats, monkeypatch):
    monkeypatch.setattr("bench.results.analysis.bootstrap.REPEATS", 200)
    rng, held, without = np.random.default_rng(1), 0, 0
    for _ in range(repeats):
        found = simulated(rng, 5, 1.0, seeds)
        assert (len(found.images), found.groups) == (60, 60)
        (row,) = found.rows
        held += row.interval.low <= true_iou(0.7) <= row.interval.high
        bare = replace(row, folds=None).interval
        without += bare.low <= true_iou(0.7) <= bare.high
    print(f"5 folds, {seeds} seeds: {held / repeats:.1%}, without the term of the folds {without / repeats:.1%}")
    assert held / repeats > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repeats)
    assert without < held


def write_folds(folder, qualities, arch="unet", seeds=(0,), folds=3, only=None):
    """Write a trial for each fold, with images of its own, whose share of right pixels is given."""
    for seed in seeds:
        for fold, quality in enumerate(qualities, start=1):
            if only and (seed, fold) not in only:
                continue
            config = fake_config(arch, None, seed, folds=folds, fold=fold)
            table = fake_table(config, quality)
            table[["name", "group"]] = [[f"{fold}_{i}"] * 2 for i in range(len(table))]
            record, _ = fake_record(config)
            key = f"{record.key}-{fold}"
            write_trial(
                folder,
                replace(record, key=key, configuration=f"{arch}-folds", metrics=table_metrics(table)),
                table,
                samples=0,
            )


def test_rows_of_one_seed_are_separable_by_their_folds_and_the_page_says_how_ranks_move(tmp_path):
    write_folds(tmp_path, (0.90, 0.80, 0.91))
    write_folds(tmp_path, (0.60, 0.85, 0.62), arch="segnet")
    (group,) = groups(trials_frame(load([tmp_path]).trials))
    assert "3 folds" in group.title and group.fields["folds"] == "3"
    first = group.ranked[0]
    assert first.uncertainty.mean == pytest.approx(first.configuration.spread("mean_iou").mean)
    assert first.uncertainty.interval.high - first.uncertainty.interval.low > 0
    (board,) = fold_boards([group])
    assert board.ranks.tolist() == [[1, 2, 1], [2, 1, 2]]
    assert board.notes[0].startswith("By 1 of the 3 folds alone") and "2 of them would be first" in board.notes[0]
    assert "single seed" not in {flag.name for flag in first.flags}
    told = CliRunner().invoke(app, ["list", "runs", "--results", str(tmp_path)], env={"COLUMNS": "200"}).output
    assert "0, fold 2 of 3" in told
    files = write_report([tmp_path]).files
    page = files[0].read_text(encoding="utf-8")
    assert 'href="#folds"' in page and "1, 2, 1" in page
    assert "folds.json" in [file.name for file in files]


def test_show_lists_the_folds_of_a_configuration_and_compare_reads_them(tmp_path):
    write_folds(tmp_path, (0.90, 0.80, 0.91))
    write_folds(tmp_path, (0.60, 0.85, 0.62), arch="segnet")

    def told(*words):
        found = CliRunner().invoke(app, [*words, "--results", str(tmp_path)], env={"COLUMNS": "200"})
        assert found.exit_code == 0, found.output
        return " ".join(found.output.split())

    shown = told("show", "unet")
    assert all(f"0, fold {fold} of 3" in shown for fold in (1, 2, 3)) and "segnet" not in shown
    assert "widened by the variance over the folds" in shown
    assert "Where the second is right and the first wrong: 2_" in told("compare", "unet", "segnet")


def test_a_seed_that_lacks_a_fold_does_not_count(tmp_path):
    write_folds(tmp_path, (0.9, 0.8, 0.7), seeds=(0, 1), only=[(0, 1), (0, 2), (0, 3), (1, 1)])
    write_folds(tmp_path, (0.9, 0.8, 0.7), arch="segnet", only=[(0, 1)])
    members = pool(trials_frame(load([tmp_path]).trials))
    found = dict(zip((str(m.values["arch"]) for m in members), measure(members).rows, strict=True))
    assert len(found["unet"].scores) == 1
    assert found["segnet"] == NOT_EVERY_FOLD


def test_trials_of_folds_and_of_one_split_are_not_ranked_together(tmp_path):
    write_folds(tmp_path, (0.9, 0.8, 0.7))
    config = fake_config("segnet")
    record, table = fake_record(config)
    write_trial(tmp_path, record, table, samples=0)
    assert len(groups(trials_frame(load([tmp_path]).trials))) == 2


def test_a_verified_fold_is_compared_with_the_seeds_of_that_fold(tmp_path):
    write_folds(tmp_path, (0.9, 0.5, 0.7), seeds=(0, 1, 2))
    for trial in load([tmp_path]).trials:
        known = verify._pooled(tmp_path, trial.record)
        assert known.ok["fold"].tolist() == [trial.record.config["fold"]] * 3
