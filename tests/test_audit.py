"""Every definition of the score by hand, and where the ranking depends on it."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.evaluation.table import ImageTable
from bench.metrics.scores import summary
from bench.records.audit import Audit, definitions


def value(name: str, counts, classes, **extra) -> float | None:
    images = np.array(counts)
    thresholds = extra.pop("thresholds", None)
    names = tuple(map(str, range(len(images))))
    table = ImageTable(names, names, images, thresholds, extra)
    return next(d for d in definitions(classes) if d.name == name).value(table)


# Two images, tp fp fn of three classes; "border" is absent from the second.
COUNTS = [[[6, 2, 0], [4, 0, 2], [1, 1, 1]], [[3, 0, 1], [8, 1, 0], [0, 0, 0]]]
CLASSES = ("pet", "background", "border")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean IoU of the split", (9 / 12 + 12 / 15 + 1 / 3) / 3),
        ("mean IoU of each image, absent classes left out", ((6 / 8 + 4 / 6 + 1 / 3) / 3 + (3 / 4 + 8 / 9) / 2) / 2),
        ("mean IoU of each image, absent classes count 1", ((6 / 8 + 4 / 6 + 1 / 3) / 3 + (3 / 4 + 8 / 9 + 1) / 3) / 2),
        ("IoU of each image by class, then over classes", ((6 / 8 + 3 / 4) / 2 + (4 / 6 + 8 / 9) / 2 + 1 / 3) / 3),
        ("mean dice of the split", (18 / 21 + 24 / 27 + 2 / 4) / 3),
        ("pixel accuracy of the split", 22 / 26),
        ("IoU weighted by the classes' pixels", (9 / 12 * 10 + 12 / 15 * 14 + 1 / 3 * 2) / 26),
        ("mean IoU of the split, without border", (9 / 12 + 12 / 15) / 2),
        ("mean IoU of the split, without background", (9 / 12 + 1 / 3) / 2),
        ("mean boundary IoU of the split", None),
    ],
)
def test_definitions(name, expected):
    assert value(name, COUNTS, CLASSES) == (expected if expected is None else pytest.approx(expected))


def test_definitions_of_two_classes():
    counts = [[[5, 1, 1], [2, 1, 1]], [[9, 0, 0], [0, 0, 0]]]  # no foreground in the second, and none predicted
    classes = ("no", "yes")
    assert value("IoU of yes, split", counts, classes) == pytest.approx(2 / 4)
    assert value("dice of yes, each image, empty counts 1", counts, classes) == pytest.approx((4 / 6 + 1) / 2)
    assert value("dice of yes, each image, empty left out", counts, classes) == pytest.approx(4 / 6)
    at = np.zeros((2, 19, 3), int)
    at[0, :, 0], at[0, :, 2] = 2, 2  # 2 / 4 at each threshold but
    at[0, 5] = (3, 0, 1)  # 0.30
    for name, expected in (("at threshold 0.3", 3 / 4), ("at threshold 0.5", 1 / 2), ("at its best threshold", 3 / 4)):
        assert value(f"IoU of yes {name}", counts, classes, thresholds=at) == pytest.approx(expected)
    assert value("IoU of yes at threshold 0.5", counts, classes) is None
    boundary = np.array(counts)
    assert value("mean boundary IoU of the split", counts, classes, boundary=boundary) == pytest.approx(
        (14 / 16 + 0.5) / 2
    )


def test_ranks_and_swapped_pairs():
    audited = Audit(("a", "b"), np.array([[0.9, 0.8, 0.7], [0.5, 0.6, np.nan]]), ())
    assert audited.ranks().tolist()[0] == [1, 2, 3]
    assert audited.ranks()[1, :2].tolist() == [2, 1] and np.isnan(audited.ranks()[1, 2])
    assert np.argwhere(np.triu(audited.swapped()[1])).tolist() == [[0, 1]] and not audited.swapped()[0].any()


def bench(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "160"})


def honest(results):
    """Records whose metrics are all those of their tables."""
    for arch, backbone in (("unet", None), ("deeplab", "resnet50")):
        for seed in (0, 1):
            record, table = fake_record(fake_config(arch, backbone, seed))
            counts = table.iloc[:, 2:].to_numpy().reshape(len(table), 3, 3)
            write_trial(results, replace(record, metrics=summary(counts, CLASSES)), table, samples=0)
    return results


def test_the_command_shows_where_the_ranking_depends_on_it(tmp_path):
    result = bench(honest(tmp_path / "r"), "--out", tmp_path / "audit.csv")
    assert result.exit_code == 0, result.output
    assert (
        "mean IoU of the split, without border" in result.stdout
        and "of 1 pairs stand in another order" in result.stdout
    )
    rows = list(csv.DictReader((tmp_path / "audit.csv").read_text().splitlines()))
    assert {row["definition"] for row in rows} >= {"pixel accuracy of the split", "mean F2 of the split"}
    assert sorted({row["rank"] for row in rows}) == ["1", "2"]


def test_a_record_that_is_not_its_tables_is_named(tmp_path):
    results = honest(tmp_path / "r")
    folder = next((results / "trials").glob("unet_None_0*"))
    table = pd.read_parquet(folder / "images.parquet")
    table.assign(tp_0=table["tp_0"] + 50).to_parquet(folder / "images.parquet", index=False)
    result = bench(results)
    assert result.exit_code == 1
    assert "mean_iou is 0." in result.stderr and folder.name in result.stderr


def test_nothing_to_audit(tmp_path):
    result = bench(fake_results(tmp_path / "r", nets=0))
    assert result.exit_code == 2 and "nothing to audit" in result.stderr
