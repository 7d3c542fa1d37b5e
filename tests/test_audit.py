"""Every definition of the score by hand, and where the ranking depends on it."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.evaluation.image_table import ImageTable
from bench.evaluation.scores import summary
from bench.results.analysis.configurations import pool
from bench.results.analysis.definitions.definition_audit import Audit, Reversal, audit
from bench.results.analysis.definitions.metric_definitions import definitions
from bench.results.dataframe import trials_frame
from bench.results.loading import load
from bench.results.quantities.quantity import HIGHER, LOWER


def value(name: str, counts, classes, groups=None, thresholds=None, **extra) -> float | None:
    images = np.array(counts)
    names = tuple(map(str, range(len(images))))
    table = ImageTable(names, groups or names, images, thresholds, extra)
    score = next(d.score for d in definitions(classes) if d.name == name)
    try:
        return float(score.of_sums(score.values(table).sum(axis=0)))
    except KeyError:
        return None


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
        ("mean accuracy of the classes, split", (9 / 10 + 12 / 14 + 1 / 2) / 3),
        ("IoU of all classes' pixels together, split", 22 / (22 + 4 + 4)),
        ("IoU weighted by the classes' pixels, split", (9 / 12 * 10 + 12 / 15 * 14 + 1 / 3 * 2) / 26),
        (
            "mean dice of each image, absent classes left out",
            ((12 / 14 + 8 / 10 + 2 / 4) / 3 + (6 / 7 + 16 / 17) / 2) / 2,
        ),
        ("mean IoU of the split, border left out", (9 / 12 + 12 / 15) / 2),
        ("mean IoU of the split, background left out", (9 / 12 + 1 / 3) / 2),
        # Of 14 and 12 pixels: what is not background has tp 14 - 6 and 12 - 9, its fp is the background's fn.
        ("border as pet: IoU, split", (8 + 3) / (8 + 3 + 2 + 0 + 0 + 1)),
        ("border as pet: IoU of each image", (8 / 10 + 3 / 4) / 2),
        ("border as pet: dice of each image", (16 / 18 + 6 / 7) / 2),
        ("border as pet: mean IoU of both, split", (11 / 14 + 12 / 15) / 2),
        ("border as background: IoU, split", 9 / 12),
        ("border as background: IoU of each image", (6 / 8 + 3 / 4) / 2),
        # The rest has tp 14 - 8 and 12 - 4, fp and fn of the pet's fn and fp.
        ("border as background: mean IoU of both, split", (9 / 12 + 14 / 17) / 2),
        ("boundary IoU of the split", None),
        ("mean IoU of each group of images", None),
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
    assert value("boundary IoU of the split", counts, classes, boundary=boundary) == pytest.approx((14 / 16 + 0.5) / 2)
    assert value("IoU of yes as tuned on validation", counts, classes, tuned=boundary) == pytest.approx(2 / 4)


def test_an_image_without_foreground_counts_by_the_policy():
    # IoU 1 / 2; nothing there and nothing said; nothing there but 1 pixel said
    counts = [[[5, 1, 0], [1, 0, 1]], [[7, 0, 0], [0, 0, 0]], [[6, 0, 1], [0, 1, 0]]]
    for policy, expected in (
        *(("empty left out", 0.5 / 2), ("empty counts 1", 1.5 / 3), ("empty counts 0", 0.5 / 3)),
        ("that truly has it", 0.5),
    ):
        name = f"IoU of yes, each image{'' if policy.startswith('that') else ','} {policy}"
        assert value(name, counts, ("no", "yes")) == pytest.approx(expected), policy


def test_groups_of_images_count_alike():
    cars = ("a", "a", "b")
    counts = [[[3, 1, 0], [4, 0, 1]], [[5, 0, 0], [3, 0, 0]], [[8, 0, 0], [0, 0, 0]]]
    expected = ((8 / 9 + 7 / 8) / 2 + 1) / 2
    assert value("mean IoU of each group of images", counts, ("no", "yes"), groups=cars) == pytest.approx(expected)


def test_objects():
    counts = np.zeros((4, 3, 10, 3), int)  # image, size, overlap, tp fp fn
    counts[0, 0, :, 0] = 1  # found at every overlap: 1
    counts[1, 0, :, 2] = 1  # missed: 0
    counts[2, 1, :, 1] = 1  # made up: 0
    pixels = np.zeros((4, 2, 3), int)
    for name, expected in [
        ("object F2 of each image, empty counts 1", 2 / 4),
        ("object F2 of each image, empty left out", 1 / 3),
        ("object F2 of each image that truly has one", 1 / 2),
        ("object F2 of the split", 5 / (5 + 4 + 1)),
    ]:
        assert value(name, pixels, ("no", "ship"), objects=counts) == pytest.approx(expected), name
    name = "object F2 of each image, as tuned on validation"
    assert value(name, pixels, ("no", "ship"), objects=counts) is None
    assert value(name, pixels, ("no", "ship"), tuned_objects=counts[:2]) == pytest.approx(1 / 2)


VALUES = np.array([[0.9, 0.8, 0.7], [0.5, 0.6, np.nan]])


def test_a_definition_of_which_less_is_better_ranks_and_swaps_the_other_way_round():
    audited = Audit(("a", "b"), (HIGHER, LOWER), VALUES, np.empty((2, 3, 2)), np.ones((2, 3, 3), bool), ())
    assert audited.ranks()[1, :2].tolist() == [1, 2] and audited.best(1) == 0
    assert not audited.swapped().any() and audited.reversals() == []
    audited = replace(audited, better=(LOWER, HIGHER))
    assert audited.ranks()[0].tolist() == [3, 2, 1] and audited.best(0) == 2
    assert audited.reversals() == []  # 0.8 is better than 0.9, and 0.6 better than 0.5
    audited = replace(audited, better=(LOWER, LOWER))
    assert audited.reversals() == [Reversal(1, 0, ("b",), ("b",))]


def test_ranks_and_swapped_pairs():
    different = np.ones((2, 3, 3), bool)
    audited = Audit(("a", "b"), (HIGHER, HIGHER), VALUES, np.empty((2, 3, 2)), different, ())
    assert audited.ranks().tolist()[0] == [1, 2, 3]
    assert audited.ranks()[1, :2].tolist() == [2, 1] and np.isnan(audited.ranks()[1, 2])
    assert np.argwhere(np.triu(audited.swapped()[1])).tolist() == [[0, 1]] and not audited.swapped()[0].any()
    assert audited.reversals() == [Reversal(0, 1, ("b",), ("b",))]
    different[0, 0, 1] = False  # by the first definition the two may be equal
    assert audited.reversals() == [Reversal(0, 1, ("b",), ())]


def bench(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)], env={"COLUMNS": "160"})


def table_of(counts) -> pd.DataFrame:
    """A per-image table in which every image is its own group."""
    names = [f"image_{i}" for i in range(len(counts))]
    columns = {
        f"{kind}_{c}": counts[:, c, k] for c in range(counts.shape[1]) for k, kind in enumerate(("tp", "fp", "fn"))
    }
    return pd.DataFrame({"name": names, "group": names, **columns})


def write(results, arch, seed, counts, classes=CLASSES, repeat=0):
    """A trial whose metrics are all those of its table."""
    record, _ = fake_record(fake_config(arch, seed=seed, repeat=repeat))
    data = {**record.dataset, "classes": list(classes)}
    record = replace(record, metrics=summary(counts, classes), dataset=data, model={"params": 1})
    return write_trial(results, record, table_of(counts), samples=0)


def by_border(pet: int, border: int, seed: int):
    """Counts (20, 3, 3) of images of 100 pets' and 20 borders' pixels: the wrong ones are said to be background."""
    rng = np.random.default_rng(seed)
    wrong = np.stack([100 - pet + rng.integers(-3, 4, 20), 20 - border + rng.integers(-2, 3, 20)], axis=1)
    own, lost = np.array([100, 20]) - wrong, np.zeros(20, int)
    pets, borders = (np.stack([own[:, c], lost, wrong[:, c]], axis=1) for c in (0, 1))
    return np.stack([pets, np.stack([lost + 200, wrong.sum(axis=1), lost], axis=1), borders], axis=1)


@pytest.fixture
def results(tmp_path):
    """`fine` is better at borders, `coarse` at pets, so the ranking depends on how the border is counted."""
    for seed in range(3):
        write(tmp_path, "fine", seed, by_border(80, 16, seed))
        write(tmp_path, "coarse", seed, by_border(95, 6, seed))
    return tmp_path


def test_the_command_shows_where_the_ranking_depends_on_it(results, tmp_path):
    result = bench(results, "--out", tmp_path / "audit.csv")
    assert result.exit_code == 0, result.output
    assert "The leader depends on the definition. 1 of 1 pairs are ordered differently" in result.stdout
    (line,) = (
        line for line in result.stdout.splitlines() if line.startswith("- coarse is better than fine according to: ")
    )
    assert "mean IoU of the split, border left out (significantly)" in line
    assert "mean dice" not in line
    rows = list(csv.DictReader((tmp_path / "audit.csv").read_text().splitlines()))
    assert {row["definition"] for row in rows} >= {"pixel accuracy of the split", "mean F2 of the split"}
    assert sorted({row["rank"] for row in rows}) == ["1", "2"]
    row = next(
        r for r in rows if r["definition"] == "border as background: IoU, split" and r["configuration"] == "fine"
    )
    assert float(row["interval_low"]) < float(row["score"]) < float(row["interval_high"])


def test_a_formula_in_a_name_is_text_in_the_csv(tmp_path):
    write(tmp_path / "r", "=HYPERLINK(1)", 0, by_border(80, 16, 0))
    result = bench(tmp_path / "r", "--out", tmp_path / "audit.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "audit.csv").read_text().splitlines()))
    assert {row["configuration"] for row in rows} == {"'=HYPERLINK(1)"}


def test_one_seed_is_never_sure(tmp_path):
    write(tmp_path, "fine", 0, by_border(80, 16, 0))
    write(tmp_path, "coarse", 0, by_border(95, 6, 0))
    result = bench(tmp_path)
    assert "- coarse is better than fine according to: " in result.stdout and "(significantly)" not in result.stdout
    assert "The leader depends on the definition, but no difference is significant." in result.stdout


def test_classes_are_the_records_own_in_their_order(results):
    """A frame of two data sets has the columns of the first in front: `iou_background` before `iou_pet`."""
    loaded = load([results])
    records = {str(trial.folder): trial.record for trial in loaded.trials}
    frame = trials_frame(loaded.trials)
    one = audit(pool(frame), records)
    order = ["iou_border", "iou_background", "iou_pet"]
    other = audit(pool(frame[[*order, *frame.columns.difference(order)]]), records)
    assert one.definitions == other.definitions and np.array_equal(one.values, other.values)


def test_every_value_of_the_record_is_compared_with_the_table(results):
    folder = next((results / "trials").glob("fine_None_0*"))
    text = json.loads((folder / "record.json").read_text())
    text["metrics"]["dice_per_class"]["border"] += 0.01
    (folder / "record.json").write_text(json.dumps(text))
    result = bench(results)
    assert result.exit_code == 1
    assert "dice_per_class.border is 0." in result.stderr and folder.name in result.stderr
    assert result.stderr.count("Mismatch") == 1


def test_a_value_beyond_all_numbers_is_a_mismatch(results):
    folder = next((results / "trials").glob("fine_None_0*"))
    text = json.loads((folder / "record.json").read_text())
    text["metrics"] |= {"dice": float("inf"), "of_its_own": float("inf")}
    (folder / "record.json").write_text(json.dumps(text))
    result = bench(results)
    assert result.exit_code == 1 and "dice is nan in the record" in result.stderr
    assert result.stderr.count("Mismatch") == 1


def test_tables_that_are_no_use_are_named(results):
    missing, cut = (results / "trials" / f"fine_None_{seed}_10epochs_128_0" for seed in (0, 1))
    (missing / "images.parquet").unlink()
    pd.read_parquet(cut / "images.parquet").drop(columns=["tp_2", "fp_2", "fn_2"]).to_parquet(cut / "images.parquet")
    result = bench(results)
    assert result.exit_code == 1
    assert f"{missing.name}: no readable per-image table" in result.stderr
    assert f"{cut.name}: its table doesn't have its 3 classes" in result.stderr
    assert "mean IoU of the split" in result.stdout


def test_other_images_are_not_compared(results):
    for seed in range(3):
        path = results / "trials" / f"fine_None_{seed}_10epochs_128_0" / "images.parquet"
        pd.read_parquet(path).assign(name=[f"other_{n}" for n in range(20)]).to_parquet(path)
    result = bench(results)
    assert result.exit_code == 1 and "other test images than most" in result.stderr
    assert "0 of 0 pairs are ordered differently" in result.stdout


def test_the_best_one_on_other_images_leaves_the_rest_comparable(results):
    path = write(results, "best", 0, by_border(99, 19, 0)[:19])
    record = json.loads((path / "record.json").read_text())
    record["metrics"]["dice"] += 0.01
    (path / "record.json").write_text(json.dumps(record))
    result = bench(results)
    first, second = result.stderr.splitlines()
    assert first == f"Mismatch: {path.name}: other test images than most" and "dice is 0." in second
    assert "The leader depends on the definition. 1 of 1 pairs are ordered differently" in result.stdout
    assert "Left out because they have no usable table: 1 of 3 configurations." in result.stdout


def test_a_record_without_a_seed_leaves_the_others(results):
    folder = next((results / "trials").glob("coarse_None_0*"))
    record = json.loads((folder / "record.json").read_text())
    del record["config"]["seed"]
    record["metrics"]["dice"] += 0.01
    (folder / "record.json").write_text(json.dumps(record))
    result = bench(results)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == f"Mismatch: {folder.name}: no seed in the record, so its table is not used" and "dice" in second
    assert "The leader depends on the definition. 1 of 1 pairs are ordered differently" in result.stdout


def test_a_record_without_classes_goes_by_those_of_its_metrics(results):
    whole = bench(results)
    for path in (results / "trials").glob("*/record.json"):
        record = json.loads(path.read_text())
        del record["dataset"]["classes"]
        path.write_text(json.dumps(record))
    assert (bench(results).exit_code, bench(results).stdout) == (0, whole.stdout)


def test_a_records_names_reach_the_terminal_clean_and_short(tmp_path):
    name = "\x1b[2J\x1b[31mship\u202e" + "x" * 300
    for arch, pet in (("fine", 90), ("coarse", 80)):
        folder = write(tmp_path, arch, 0, by_border(pet, 16, 0)[:, :2], ("no", name))
    record = json.loads((folder / "record.json").read_text())
    record["metrics"]["iou"][name] += 0.01
    (folder / "record.json").write_text(json.dumps(record))
    result = bench(tmp_path)
    assert "IoU of ship" in result.stdout and "iou.ship" in result.stderr
    assert "\x1b[2J" not in result.output and "\u202e" not in result.output
    assert "x" * 60 not in result.output


@pytest.mark.parametrize("most", [200, 1, 0])
def test_configurations_beyond_those_that_are_drawn_go_by_the_same_rules(tmp_path, monkeypatch, most):
    """Repeats of a seed are averaged first, and a definition without values is left out."""
    for arch, pets in (("fine", (80, 90, 70)), ("coarse", (60, 70, 50))):
        for repeat, (seed, pet) in enumerate(zip((0, 0, 1), pets, strict=True)):
            counts = by_border(pet, 0, repeat)[:, [1, 0]]
            counts[:, 1] = counts[:, 1] * [0, 1, 0] + [0, repeat + 1, 0]  # no image truly has it
            counts[:, 0, 2] = counts[:, 1, 1]
            write(tmp_path, arch, seed, counts, ("no", "yes"), repeat)
    monkeypatch.setattr("bench.results.analysis.definitions.definition_audit._MOST_DRAWN", most)
    loaded = load([tmp_path])
    members = pool(trials_frame(loaded.trials))
    members.sort(key=lambda member: -member.spread("mean_iou").mean)
    audited = audit(members, {str(trial.folder): trial.record for trial in loaded.trials})
    assert audited.values[0] == pytest.approx([member.spread("mean_iou").mean for member in members])
    assert np.isfinite(audited.values).all() and not any("truly" in name for name in audited.definitions)
    assert np.isfinite(audited.intervals[0, :, 0]).sum() == min(most, 2)
    assert bench(tmp_path).exit_code == 0


def test_the_fakes_are_sound(tmp_path):
    """Mismatches in the fake records would hide what other tests look for."""
    result = bench(fake_results(tmp_path / "r", samples=0))
    assert result.exit_code == 0, result.output
    assert not result.stderr


def test_nothing_to_audit(tmp_path):
    result = bench(fake_results(tmp_path / "r", nets=0))
    assert result.exit_code == 2 and "nothing to audit" in result.stderr
