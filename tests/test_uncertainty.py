"""The uncertainty of a leaderboard's ranks: paired intervals from the trials' tables, and ranks without them."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, table_metrics, write_trial

from bench.core.errors import BenchError
from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.analysis.bootstrap import Uncertainty, ranks, significant_pairs
from bench.results.analysis.configurations import pool
from bench.results.analysis.uncertainty import (
    NO_TABLE,
    ONE_GROUP,
    OTHER_IMAGES,
    OTHER_SCORE,
    measure,
)
from bench.results.dataframe import load_results
from bench.results.quantities import METRICS
from bench.results.trial_files import IMAGES, read_json, write_json

IMAGES_COUNT = 150
QUALITIES = {"unet": 0.85, "deeplab": 0.85, "segnet": 0.7}
_RNG = np.random.default_rng(0)
TRUTH, HARD = _RNG.multinomial(4096, (0.3, 0.58, 0.12), size=IMAGES_COUNT), _RNG.normal(0, 0.05, (IMAGES_COUNT, 1))


def table(quality: float, seed: int, *, names: str = "image") -> pd.DataFrame:
    """Counts of images that are equally hard for all, with the share `quality` of correct pixels."""
    rng = np.random.default_rng([seed, int(quality * 1000)])
    share = quality + HARD + rng.normal(0, 0.01, (IMAGES_COUNT, 1))
    right = rng.binomial(TRUTH, np.clip(share, 0, 1))
    wrong = TRUTH - right
    columns = {"name": [f"{names}{i}" for i in range(IMAGES_COUNT)], "group": [f"{i}" for i in range(IMAGES_COUNT)]}
    for c in range(3):
        columns |= {f"tp_{c}": right[:, c], f"fp_{c}": np.roll(wrong, 1, 1)[:, c], f"fn_{c}": wrong[:, c]}
    return pd.DataFrame(columns)


def write(results, arch: str, seed: int, *, names: str = "image", repeat: int = 0):
    counts = table(QUALITIES[arch], seed + 100 * repeat, names=names)
    config = fake_config(arch, seed=seed, repeat=repeat)
    record, _ = fake_record(config)
    metrics = {**table_metrics(counts), "mean_iou_per_image": None}
    return write_trial(results, replace(record, metrics=metrics), counts, samples=0)


@pytest.fixture
def results(tmp_path):
    for arch in QUALITIES:
        for seed in range(3):
            write(tmp_path, arch, seed)
    return tmp_path


def ranked(results):
    (group,) = groups(load_results(results))
    return group


def test_statistically_tied_rows_share_a_rank(results):
    group = ranked(results)
    assert [(row.rank, row.ranks) for row in group.ranked] == [(1, (1, 2)), (1, (1, 2)), (3, (3, 3))]
    assert [row.cells["rank"].text for row in group.ranked] == ["1 (1–2)", "1 (1–2)", "3"]  # noqa: RUF001
    assert group.different.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    interval = group.ranked[0].uncertainty.interval
    assert group.ranked[0].cells["mean_iou"].text == f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    assert any("150 test images" in note for note in group.notes)


def test_without_a_table_a_row_has_mean_and_spread_and_is_tied_with_all(results):
    next((results / "trials").glob("segnet*")).joinpath(IMAGES).unlink()
    group = ranked(results)
    assert [row.ranks for row in group.ranked] == [(1, 3), (1, 3), (1, 3)]
    assert [row.rank for row in group.ranked] == [1, 1, 1]
    assert group.ranked[2].uncertainty is None and "±" in group.ranked[2].cells["mean_iou"].text
    assert any(f"segnet ({NO_TABLE})" in note for note in group.notes)


def test_tables_that_do_not_fit_are_named_and_not_used(results):
    for path in (results / "trials").glob("segnet*"):
        table(0.5, 9).to_parquet(path / IMAGES, index=False)
    for path in (results / "trials").glob("deeplab*"):
        path.joinpath(IMAGES).write_bytes(b"no Parquet")
    found = dict(zip(*reasons(results), strict=True))
    assert found["segnet"] == OTHER_SCORE and found["deeplab"] == NO_TABLE
    assert isinstance(found["unet"], Uncertainty)


def test_only_rows_of_the_same_images_are_compared(results):
    for seed in range(3):
        write(results, "segnet", seed, names="other")
    found = dict(zip(*reasons(results), strict=True))
    assert found["segnet"] == OTHER_IMAGES
    write(results, "unet", 0, names="other")  # one of its three
    assert dict(zip(*reasons(results), strict=True))["unet"] == OTHER_IMAGES


def reasons(results):
    members = pool(load_results(results))
    return [member.values["arch"] for member in members], measure(members).rows


def test_repeats_are_no_seeds(results):
    for repeat in (1, 2):
        write(results, "unet", 0, repeat=repeat)
    (unet,) = [row for row in ranked(results).ranked if row.label == "unet"]
    assert len(unet.uncertainty.scores) == 3
    assert unet.uncertainty.mean == pytest.approx(unet.configuration.spread("mean_iou").mean)


def test_one_seed_is_tied_and_said_so(tmp_path):
    for arch in QUALITIES:
        write(tmp_path, arch, 0)
    group = ranked(tmp_path)
    assert {row.ranks for row in group.ranked} == {(1, 3)}
    assert any("Not separable by seed" in note for note in group.notes)
    assert "not separable by seed" in group.ranked[0].cells["mean_iou"].title


def test_scores_of_sums_are_those_of_the_records():
    frame = table(0.8, 0)
    counts = frame.iloc[:, 2:].to_numpy(copy=True).reshape(IMAGES_COUNT, 3, 3)
    counts[3] = 0  # an image without a pixel that counts
    images = ImageTable(tuple(frame["name"]), tuple(frame["group"]), counts, None)
    expected = scores.summary(counts, ("a", "b", "c"))
    for name, score in ((name, metric.score) for name, metric in METRICS.items() if not metric.score.own):
        assert score.of_sums(score.values(images).sum(axis=0)) == pytest.approx(expected[name]), name


def test_pairs_all_at_once_are_those_one_by_one():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.01, 50)
    rows = [
        Uncertainty(rng.normal(mean, 0.01, seeds), mean + shared + rng.normal(0, 0.002, 50), 30)
        for mean, seeds in zip(np.linspace(0.6, 0.9, 12), (1, 2, 3, 5) * 3, strict=True)
    ]
    rows[4].draws[7] = np.nan  # a draw without any class
    expected = [[i != j and one.differs_from(other) for j, other in enumerate(rows)] for i, one in enumerate(rows)]
    assert significant_pairs(rows).tolist() == expected
    assert 20 < np.sum(expected) < 132


def test_two_of_the_same_image_say_nothing():
    """The draws of a single group of images don't vary, but that doesn't make the score certain."""
    rows = [Uncertainty(np.full(3, mean), np.full(10, mean), 1) for mean in (0.9, 0.1)]
    assert not rows[0].differs_from(rows[1])
    assert ranks(rows) == [(1, 2), (1, 2)]


def test_a_data_sets_own_metric_may_be_ranked_by(results):
    rng = np.random.default_rng(0)
    for folder in (results / "trials").iterdir():
        if not folder.is_dir():
            continue
        counts = pd.read_parquet(folder / IMAGES).assign(carvana_dice=rng.uniform(0.5, 1, IMAGES_COUNT))
        counts.to_parquet(folder / IMAGES, index=False)
        record = read_json(folder / "record.json")
        record["metrics"]["carvana_dice"] = counts["carvana_dice"].mean()
        write_json(folder / "record.json", record)
    frame = load_results(results)
    (group,) = groups(frame, METRICS["carvana_dice"])
    assert group.metric.name == "carvana_dice"
    means = [row.uncertainty.mean for row in group.ranked]
    assert means == sorted(means, reverse=True)
    assert means == pytest.approx([row.configuration.spread("carvana_dice").mean for row in group.ranked])
    assert group.ranked[0].cells["carvana_dice"].text.startswith(f"{means[0]:.4f} [")
    assert "Rows are ranked by it" in group.columns["carvana_dice"][1]
    assert "Rows are ranked by it" not in group.columns["mean_iou"][1]
    for wrong in ("mean_iuo", "latency_ms_p95"):  # a number, but no score
        with pytest.raises(BenchError, match=rf"no score '{wrong}' to rank by\. Available: mean_iou, .*carvana_dice"):
            write_report([results], results / "out", rank_by=wrong)


def test_a_group_without_the_score_is_ranked_by_mean_iou(results):
    (group,) = groups(load_results(results), METRICS["airbus_f2"])
    assert group.metric.name == "mean_iou" and "airbus_f2" not in group.columns


def test_images_of_one_group_separate_no_rows(tmp_path):
    """If all images belong to one group, the bootstrap can't resample groups."""
    for arch in QUALITIES:
        for seed in range(2):
            folder = write(tmp_path, arch, seed)
            pd.read_parquet(folder / IMAGES).assign(group="car").to_parquet(folder / IMAGES, index=False)
    group = ranked(tmp_path)
    assert {row.ranks for row in group.ranked} == {(1, 3)}
    assert any(ONE_GROUP in note for note in group.notes)
    write_report([tmp_path], tmp_path / "out")
    assert not any("0 groups" in note for note in group.notes)
    assert not re.search(r"\binf\b", (tmp_path / "out" / "leaderboard.csv").read_text())
