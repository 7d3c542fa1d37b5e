"""What `bench robustness` stores and shows: numbers by hand, intervals, what is left out, the report."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, fake_sample, write_trial

from bench.core.errors import BenchError
from bench.evaluation.corruptions.corruption_table import Condition, conditions
from bench.evaluation.image_table import ImageTable
from bench.report.findings.corruption_board import corruption_board
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import trials_frame
from bench.results.loading import StoredTrial, load
from bench.results.record_reader import read_record
from bench.results.robustness.condition_files import file_of, is_stored, store, stored
from bench.results.robustness.degradation import robustness
from bench.results.trial_files import ROBUSTNESS

CLEAN = Condition()
IMAGES = 12
NAMES = tuple(f"image_{i}" for i in range(IMAGES))


def trial_in(results, arch="unet", backbone=None, seed=0, **changes) -> StoredTrial:
    config = replace(fake_config(arch, backbone, seed), **changes)
    record, table = fake_record(config)
    folder = write_trial(results, replace(record, key=f"{record.key}-{config.lr}"), table)
    return StoredTrial(read_record(folder), folder)


def table_of(shares, images=IMAGES) -> ImageTable:
    """A table of two classes of 100 pixels each; the share of pixels that are right, of each image."""
    right = np.broadcast_to(np.round(100 * np.asarray(shares, float)), images).astype(np.int64)
    one = np.stack([right, 100 - right, 100 - right], axis=-1)  # what one class loses, the other gets
    return ImageTable(NAMES[:images], NAMES[:images], np.stack([one, one], axis=1), None)


def put(trial, condition, shares, images=IMAGES):
    store(trial, condition, table_of(shares, images), {"mean_iou": 0.5})


def iou(share):
    return share / (2 - share)  # of r right pixels of 100: r / (200 - r)


def test_the_mean_is_over_severities_then_kinds_and_relative_to_clean(tmp_path):
    trial = trial_in(tmp_path / "r")
    put(trial, CLEAN, 0.9)
    for severity, share in ((1, 0.8), (2, 0.7), (3, 0.6)):
        put(trial, Condition("noise", severity), share)
    put(trial, Condition("jpeg", 2), 0.5)
    (row,) = robustness([("unet", [trial])]).rows
    noise = (iou(0.8) + iou(0.7) + iou(0.6)) / 3
    assert row.by_kind["noise"].mean == pytest.approx(noise)
    assert row.corrupted.mean == pytest.approx((noise + iou(0.5)) / 2)  # a kind counts once, however many severities
    assert row.clean.mean == pytest.approx(iou(0.9))
    assert row.relative.mean == pytest.approx((noise + iou(0.5)) / 2 / iou(0.9))
    assert row.by_condition == pytest.approx(
        {Condition("noise", 1): iou(0.8), Condition("noise", 2): iou(0.7), Condition("noise", 3): iou(0.6),
         Condition("jpeg", 2): iou(0.5)}
    )  # fmt: skip


def test_the_interval_of_the_relative_score_is_paired_by_image(tmp_path):
    """Images of different difficulty that all lose the same share: the relative score is sure, the others aren't."""
    trial = trial_in(tmp_path / "r")
    hard = np.linspace(0.3, 1.0, IMAGES)
    put(trial, CLEAN, hard)
    put(trial, Condition("blur", 1), hard)
    (row,) = robustness([("unet", [trial])]).rows
    assert row.relative.interval.low == pytest.approx(1) == row.relative.interval.high
    assert row.clean.interval.high - row.clean.interval.low > 0.1


def test_a_run_that_is_always_wrong_has_no_relative_score(tmp_path):
    trial = trial_in(tmp_path / "r")
    put(trial, CLEAN, 0.0)
    put(trial, Condition("blur", 1), 0.0)
    (row,) = robustness([("unet", [trial])]).rows
    assert row.corrupted.mean == 0 and np.isnan(row.relative.mean)
    write_report([tmp_path / "r"], tmp_path / "out")
    assert "no share" in (tmp_path / "out" / "LEADERBOARD.md").read_text()


def test_seeds_widen_the_interval_and_repeats_of_a_seed_are_one(tmp_path):
    trials = [trial_in(tmp_path / "r", seed=seed) for seed in (0, 1)]
    trials.append(trial_in(tmp_path / "r", seed=1, repeat=1, lr=0.002))
    for trial, share in zip(trials, (0.5, 0.8, 0.8), strict=True):
        put(trial, CLEAN, 0.9)
        put(trial, Condition("blur", 1), share)
    (row,) = robustness([("unet", trials)]).rows
    assert row.seeds == 2 and row.corrupted.mean == pytest.approx((iou(0.5) + iou(0.8)) / 2)
    assert row.corrupted.interval.high - row.corrupted.interval.low > 0.99  # two seeds that differ say little


def test_the_images_that_lost_most_are_named_with_their_corruption(tmp_path):
    trial = trial_in(tmp_path / "r")
    put(trial, CLEAN, 0.9)
    shares = np.full(IMAGES, 0.9)
    put(trial, Condition("blur", 5), np.where(np.arange(IMAGES) == 3, 0.2, shares))
    put(
        trial,
        Condition("noise", 5),
        np.where(np.arange(IMAGES) == 7, 0.4, np.where(np.arange(IMAGES) == 3, 0.3, shares)),
    )
    (row,) = robustness([("unet", [trial])]).rows
    assert [(one.image, str(one.condition)) for one in row.lost_most] == [("image_3", "blur 5"), ("image_7", "noise 5")]
    assert row.lost_most[0].clean == pytest.approx(iou(0.9)) and row.lost_most[0].corrupted == pytest.approx(iou(0.2))


def test_only_what_all_have_is_compared_and_the_rest_is_said(tmp_path):
    whole, part, clean_only, none = (trial_in(tmp_path / "r", lr=lr) for lr in (0.001, 0.002, 0.003, 0.004))
    for condition in conditions(["blur", "noise"], [1, 2]):
        put(whole, condition, 0.8)
    for condition in conditions(["noise"], [1]):
        put(part, condition, 0.6)
    put(clean_only, CLEAN, 0.9)
    found = robustness([("a", [whole]), ("b", [part]), ("c", [clean_only]), ("d", [none])])
    assert found.conditions == (Condition("noise", 1),)
    assert [row.label for row in found.rows] == ["a", "b"]
    said = " ".join(found.notes)
    assert "c, seed 0: not scored on the same 12 images" in said and "d, seed 0: not scored" in said
    assert "3 more kinds and severities were measured, but not for all" in said
    assert robustness([("d", [none])]) is None
    only = robustness([("a", [whole])], [Condition("blur", 1), Condition("jpeg", 1)])
    assert only.conditions == (Condition("blur", 1),) and not only.notes


@pytest.mark.parametrize(("scored", "notes"), [(1, 0), (None, 0), (2, 1)])
def test_a_run_that_was_tested_under_another_protocol_is_said(tmp_path, scored, notes):
    trial = trial_in(tmp_path / "r")
    known = {} if scored is None else {"protocol_version": scored}
    for condition in (CLEAN, Condition("noise", 1)):
        store(trial, condition, table_of(0.9), {"mean_iou": 0.5, **known})
    found = robustness([("unet", [trial])])
    assert len(found.notes) == notes
    if notes:
        assert found.notes[0].startswith("unet, seed 0: the run was tested under protocol 1, and its pictures are ")
    write_report([tmp_path / "r"], tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert ("tested under protocol 1" in page) == bool(notes)


def test_results_on_other_numbers_of_images_stay_and_the_usual_number_is_shown(tmp_path):
    one, other = (trial_in(tmp_path / "r", lr=lr) for lr in (0.001, 0.002))
    for trial, numbers in ((one, (6, 12)), (other, (6,))):
        for images in numbers:
            put(trial, CLEAN, 0.9, images)
            put(trial, Condition("jpeg", 1), 0.8, images)
    assert set(stored(one)) == {6, 12}
    assert robustness([("a", [one]), ("b", [other])]).images == 6
    assert robustness([("a", [one])]).images == 12


def test_the_leader_under_corruption_is_said_if_it_is_another(tmp_path):
    one, other = (trial_in(tmp_path / "r", lr=lr) for lr in (0.001, 0.002))
    for trial, clean, corrupted in ((one, 0.9, 0.3), (other, 0.8, 0.7)):
        put(trial, CLEAN, clean)
        put(trial, Condition("jpeg", 1), corrupted)
    found = robustness([("a", [one]), ("b", [other])])
    assert [row.label for row in found.rows] == ["b", "a"]
    assert found.notes == ("On clean images a has the highest mean IoU; under corruption b has.",)


@pytest.mark.parametrize(
    "change",
    [
        {"run_finished": "2020-01-01T00:00:00+00:00"},  # of the weights before --force
        {"fingerprint": "other data"},
        {"amount": 3},  # what the severity meant in another version
        {"images": 7},  # not what its name says
        {"kind": "fog"},
        {"severity": 9},
        {"severity": [1]},
        {"kind": None},
    ],
)
def test_what_is_of_other_weights_data_or_amounts_does_not_count(tmp_path, change):
    trial, condition = trial_in(tmp_path / "r"), Condition("jpeg", 1)
    put(trial, condition, 0.8)
    assert is_stored(trial, condition, IMAGES)
    file = file_of(trial, condition, IMAGES)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert not is_stored(trial, condition, IMAGES) and not stored(trial)


def test_a_table_without_its_json_or_a_json_without_its_table_is_missing(tmp_path):
    trial = trial_in(tmp_path / "r")
    for kind, ending in (("jpeg", ".json"), ("blur", ".parquet")):
        put(trial, Condition(kind, 1), 0.8)
        file_of(trial, Condition(kind, 1), IMAGES).with_suffix(ending).unlink()
        assert not is_stored(trial, Condition(kind, 1), IMAGES)
    file_of(trial, Condition("noise", 1), IMAGES).write_text("{ cut sho")
    assert not stored(trial)


def test_a_folder_that_is_a_link_is_neither_read_nor_written(tmp_path):
    trial = trial_in(tmp_path / "r")
    (tmp_path / "elsewhere").mkdir()
    (trial.folder / ROBUSTNESS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BenchError, match="link"):
        put(trial, CLEAN, 0.9)
    assert not list((tmp_path / "elsewhere").iterdir()) and not stored(trial)
    other = trial_in(tmp_path / "r", seed=1)
    put(other, CLEAN, 0.9)
    (tmp_path / "elsewhere").rmdir()
    (other.folder / ROBUSTNESS).rename(tmp_path / "elsewhere")
    (other.folder / ROBUSTNESS).symlink_to(tmp_path / "elsewhere")
    assert not is_stored(other, CLEAN, IMAGES) and not stored(other)


def scored_results(path, seeds=2):
    """A results folder with two configurations that were scored under three kinds of corruption, with pictures."""
    for net, (arch, backbone) in enumerate((("unet", None), ("deeplab", "resnet50"))):
        for seed in range(seeds):
            trial = trial_in(path, arch, backbone, seed)
            for condition in conditions(["blur", "motion_blur", "rotation"]):
                put(trial, condition, np.linspace(0.95, 0.8, IMAGES) - 0.1 * condition.severity - 0.03 * net)
                if condition.severity == 5:
                    fake_sample(48, 3).save(file_of(trial, condition, IMAGES).with_suffix(".png"))
    return path


def test_the_report_has_a_section_tables_and_pictures(tmp_path):
    made = write_report([scored_results(tmp_path / "r")], tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert '<a href="#robustness">Robustness</a>' in page and 'id="robustness"' in page
    assert "motion blur" in page and "motion blur 5</figcaption>" in page
    assert "deeplab:resnet50: mean IoU by kind and severity" in page
    text = (tmp_path / "out" / "LEADERBOARD.md").read_text()
    assert ": robustness" in text and "| motion blur |" in text
    table = pd.read_csv(tmp_path / "out" / "robustness.csv")
    assert len(table) == 2 * 15 and set(table["severity"]) == {1, 2, 3, 4, 5}
    assert not made.problems


def test_a_public_page_has_no_picture_of_data_that_may_not_be_shown(tmp_path):
    write_report([scored_results(tmp_path / "r")], tmp_path / "out", public=True)
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'id="robustness"' in page and "motion blur 5</figcaption>" not in page


def test_a_report_without_such_results_has_no_section(tmp_path):
    trial_in(tmp_path / "r")
    write_report([tmp_path / "r"], tmp_path / "out")
    assert "obustness" not in (tmp_path / "out" / "index.html").read_text()
    assert not (tmp_path / "out" / "robustness.csv").exists()


def test_a_damaged_table_is_named_and_the_report_is_made(tmp_path):
    results = scored_results(tmp_path / "r", seeds=1)
    trial = load([results]).trials[0]
    file_of(trial, Condition("blur", 2), IMAGES).with_suffix(".parquet").write_bytes(b"PAR1 no more")
    made = write_report([results], tmp_path / "out")
    (problem,) = made.parts
    assert "Robustness of pets" in problem and "no readable per-image table" in problem
    assert "mean IoU by kind" not in (tmp_path / "out" / "index.html").read_text()


def test_tables_of_other_images_are_refused(tmp_path):
    one, other = (trial_in(tmp_path / "r", lr=lr) for lr in (0.001, 0.002))
    for trial in (one, other):
        put(trial, CLEAN, 0.9)
        put(trial, Condition("jpeg", 1), 0.8)
    file = file_of(other, Condition("jpeg", 1), IMAGES).with_suffix(".parquet")
    table = pd.read_parquet(file)
    table.assign(name=[f"other_{i}" for i in range(IMAGES)]).to_parquet(file, index=False)
    with pytest.raises(BenchError, match="not of the same images"):
        robustness([("a", [one]), ("b", [other])])


def test_a_trial_that_is_copied_keeps_its_results(tmp_path):
    trial = trial_in(tmp_path / "r")
    put(trial, CLEAN, 0.9)
    shutil.copytree(trial.folder, tmp_path / "copy" / trial.folder.name)
    copy = StoredTrial(trial.record, tmp_path / "copy" / trial.folder.name)
    assert is_stored(copy, CLEAN, IMAGES)


def test_the_board_shows_intervals_and_shares(tmp_path):
    trials = load([scored_results(tmp_path / "r")]).trials
    (group,) = groups(trials_frame(trials))
    board = corruption_board(group, {str(trial.folder): trial for trial in trials}, [])
    label, cells = board.rows[0]
    assert label == "unet" and cells[0].text == "2"
    assert cells[1].text.count("[") == 1 and cells[3].text.startswith("0.5")
    assert board.kinds[1] == (
        "motion blur",
        "radius and standard deviation in px of 224: (10, 3), (15, 5), (15, 8), (15, 12), (20, 15)",
    )
    _, grid = board.grids[0]
    heats = [cell.heat for cell in grid[0][2]]
    assert heats == sorted(heats, reverse=True) and 0 <= heats[-1] < heats[0] < 100
