"""The table of F2 by threshold: its mean is the score of the Airbus challenge, and its sentences say what it tells."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, fake_table, table_metrics, write_trial

from bench.evaluation.metrics.objects import OVERLAPS, SIZES, image_f2, object_counts
from bench.report.findings.object_board import HEADINGS, object_board
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results

KINDS = ("tp", "fp", "fn")


def counted(shift, empty=False):
    """The counts of an image with a ship of 10 x 20 pixels that is predicted `shift` columns to the right."""
    true, predicted = np.zeros((2, 1, 40, 60), np.int64)
    if not empty:
        true[:, 5:15, 5:25] = 1
        predicted[:, 5:15, 5 + shift : 25 + shift] = 1
    return object_counts(true, predicted)


def columns(counts, prefix="objects"):
    return {
        f"{prefix}_{kind}_{size}_t{round(100 * overlap):02d}": counts[:, i, j, k]
        for i, size in enumerate(SIZES)
        for j, overlap in enumerate(OVERLAPS)
        for k, kind in enumerate(KINDS)
    }


def write(folder, shifts, seed=0, *, tuned=None, **changes):
    """Write a trial with an image for each shift; None is an image without a ship. Return its score."""
    config = fake_config("unet", None, seed, **changes)
    counts = np.concatenate([counted(shift or 0, empty=shift is None) for shift in shifts])
    table = fake_table(config, 0.8, len(shifts)).assign(**columns(counts), airbus_f2=image_f2(counts))
    if tuned is not None:
        more = columns(np.concatenate([counted(s) for s in tuned]), "tuned_objects")
        table = pd.concat([table, pd.DataFrame(more)], axis=1)
    record, _ = fake_record(config)
    metrics = {**table_metrics(table), "airbus_f2": float(image_f2(counts).mean())}
    write_trial(folder, replace(record, key=f"{record.key}-{seed}-{changes}", metrics=metrics), table, samples=0)
    return metrics["airbus_f2"]


def board(folder):
    (group,) = groups(load_results(folder))
    return object_board(group)


def test_the_mean_of_the_thresholds_is_the_score_over_the_seeds(tmp_path):
    scores = [write(tmp_path, shifts, seed) for seed, shifts in enumerate([(0, 3, 8, None), (1, 2, 5, None)])]
    (row,) = board(tmp_path).rows
    assert np.mean(row.scores) == pytest.approx(np.mean(scores))
    assert list(row.scores) == sorted(row.scores, reverse=True)
    assert row.cells[-1] == f"{np.mean(scores):.3f}" and len(row.cells) == len(HEADINGS)


def test_the_leader_may_change_with_the_threshold_and_equal_rows_lead_together(tmp_path):
    write(tmp_path, (0, 12), lr=0.01)  # one outline exact, the other ship missed
    write(tmp_path, (4, 4), lr=0.001)  # both found, with an IoU of 2 / 3
    (told,) = board(tmp_path).sentences
    led = "unet, lr 0.001 from 0.50 to 0.65; unet, lr 0.01 from 0.70 to 0.95"
    assert told == f"The highest F2 has {led} (without regard to chance)."


def test_images_without_objects_give_a_model_that_predicts_nothing_its_score(tmp_path):
    write(tmp_path, (0, None, None, None))
    assert board(tmp_path).sentences == (
        "3 of 4 test images have no object. A model that predicts none anywhere scores 0.750 at every threshold.",
    )


def test_the_tuned_masks_are_rows_of_their_own(tmp_path):
    write(tmp_path, (9, 9), tuned=(1, 1))
    found = board(tmp_path)
    assert [row.label for row in found.rows] == ["unet", "unet, tuned"]
    assert found.rows[1].scores[0] == 1 and "higher with them in 1 of 1 rows" in found.sentences[-1]


def test_data_without_objects_have_no_such_table(tmp_path):
    config = fake_config()
    write_trial(tmp_path, fake_record(config)[0], fake_table(config, 0.8), samples=0)
    assert board(tmp_path) is None
    write_report([tmp_path])
    assert "F2 by threshold" not in (tmp_path / "report/index.html").read_text(encoding="utf-8")


def test_the_page_and_the_markdown_show_it(tmp_path):
    write(tmp_path, (0, 3))
    write_report([tmp_path])
    for name in ("index.html", "LEADERBOARD.md"):
        assert "F2 by threshold" in (tmp_path / "report" / name).read_text(encoding="utf-8")


def test_a_damaged_table_leaves_its_row_out(tmp_path):
    write(tmp_path, (0, 3))
    for file in tmp_path.rglob("images.parquet"):
        file.write_bytes(b"no table")
    assert board(tmp_path) is None
