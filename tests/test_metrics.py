"""Counts, scores and the per-image table: by hand, against scikit-learn, and by properties."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import fbeta_score, jaccard_score

from bench.core.errors import BenchError
from bench.evaluation import scores
from bench.evaluation.confusion import THRESHOLDS, _histograms, confusion_counts, threshold_counts
from bench.evaluation.image_table import read_table, write_table
from bench.evaluation.metrics.carvana_dice import carvana_dice

# Two images of 2 x 3 pixels, three classes; the second's last row is ignored.
LABELS = np.array([[[0, 0, 1], [1, 1, 2]], [[0, 0, 0], [255, 255, 255]]], np.uint8)
PREDICTIONS = np.array([[[0, 1, 1], [1, 0, 2]], [[0, 0, 1], [2, 2, 0]]], np.int32)
COUNTS = [
    [[1, 1, 1], [2, 1, 1], [1, 0, 0]],
    [[2, 0, 1], [0, 1, 0], [0, 0, 0]],
]  # summed over the images: class 0: 3, 1, 2; class 1: 2, 2, 1; class 2: 1, 0, 0


def test_counts_by_hand():
    counts = confusion_counts(LABELS, PREDICTIONS, 3)
    assert counts.dtype == np.int64
    assert counts.tolist() == COUNTS


def test_summary_by_hand():
    summary = scores.summary(np.array(COUNTS), ["sky", "tree", "car"])
    assert summary["iou"] == pytest.approx({"sky": 3 / 6, "tree": 2 / 5, "car": 1})
    assert summary["dice_per_class"] == pytest.approx({"sky": 6 / 9, "tree": 4 / 7, "car": 1})  # 2tp / (2tp + fp + fn)
    # 5tp / (5tp + fp + 4fn): 15 / (15 + 1 + 8), 10 / (10 + 2 + 4), 1
    assert summary["f2_per_class"] == pytest.approx({"sky": 15 / 24, "tree": 10 / 16, "car": 1})
    assert summary["mean_iou"] == pytest.approx((0.5 + 0.4 + 1) / 3)
    assert summary["dice"] == pytest.approx((6 / 9 + 4 / 7 + 1) / 3)
    assert summary["f2"] == pytest.approx((15 / 24 + 10 / 16 + 1) / 3)
    assert summary["pixel_accuracy"] == pytest.approx(6 / 9)  # 9 pixels count, 3 + 2 + 1 are right
    # image 1: (1/3 + 2/4 + 1) / 3 = 11/18; image 2: (2/3 + 0) / 2 = 1/3, class 2 is in neither
    assert summary["mean_iou_per_image"] == pytest.approx((11 / 18 + 1 / 3) / 2)
    # labels: 5 of class 0, 3 of class 1, 1 of class 2: predicting 0 has IoU 5/9, 0, 0
    assert summary["majority_class_mean_iou"] == pytest.approx(5 / 9 / 3)
    assert not any(key.startswith("foreground") for key in summary)


def test_majority_class_score_is_the_score_of_predicting_it():
    everywhere_zero = confusion_counts(LABELS, np.zeros_like(LABELS), 3)
    assert scores.mean_iou(everywhere_zero) == pytest.approx(scores.majority_class_mean_iou(np.array(COUNTS)))


def test_majority_class_score_leaves_out_a_class_that_no_label_has():
    # labels: 3 pixels of class 0, 1 of class 1, none of class 2, which is predicted once
    assert scores.majority_class_mean_iou(np.array([[[3, 0, 0], [0, 0, 1], [0, 1, 0]]])) == pytest.approx(3 / 4 / 2)


def test_binary_summary_has_the_foreground():
    counts = np.array([[[5, 2, 1], [3, 1, 2]]])
    summary = scores.summary(counts, ["background", "pet"])
    assert summary["foreground_iou"] == summary["iou"]["pet"] == pytest.approx(3 / 6)
    assert summary["foreground_dice"] == pytest.approx(6 / 9)
    assert summary["foreground_f2"] == pytest.approx(15 / (15 + 1 + 8))


def test_per_image_means_of_a_binary_set_by_hand():
    # class 1 in three images: 3 / (3 + 1 + 2) = 1/2, all wrong, and in neither map
    counts = np.array([[[5, 2, 1], [3, 1, 2]], [[4, 1, 0], [0, 0, 1]], [[9, 0, 0], [0, 0, 0]]])
    assert scores.summary(counts, ["no", "yes"])["foreground_iou_per_image"] == pytest.approx((1 / 2 + 0) / 2)
    assert carvana_dice(counts) == pytest.approx([6 / 9, 0, 1])  # 2 x 3 / (2 x 3 + 1 + 2)


@given(hnp.arrays(np.uint8, (2, 3, 4, 4), elements=st.integers(0, 1)))
@settings(deadline=None, max_examples=30)
def test_carvana_dice_is_the_mean_of_each_images_f1(maps):
    labels, predicted = maps
    found = carvana_dice(confusion_counts(labels, predicted, 2))
    expected = [
        fbeta_score(t.ravel(), p.ravel(), beta=1) if t.any() or p.any() else 1
        for t, p in zip(labels, predicted, strict=True)
    ]
    assert found == pytest.approx(expected)
    np.testing.assert_array_equal(found, carvana_dice(confusion_counts(predicted, labels, 2)))
    assert ((found >= 0) & (found <= 1)).all()


def test_absent_class_is_left_out_and_a_false_alarm_is_not():
    absent = np.array([[[4, 0, 0], [0, 0, 0]]])
    summary = scores.summary(absent, ["background", "ship"])
    assert summary["iou"] == {"background": 1.0, "ship": None}
    assert summary["foreground_iou"] is None
    assert summary["mean_iou"] == 1.0
    false_alarm = np.array([[[3, 0, 1], [0, 1, 0]]])
    assert scores.mean_iou(false_alarm) == pytest.approx(3 / 4 / 2)


@pytest.mark.parametrize("counts", [np.zeros((0, 2, 3), np.int64), np.zeros((2, 2, 3), np.int64)])
def test_nothing_counted_gives_none_and_no_nan(counts):
    summary = scores.summary(counts, ["a", "b"])
    assert summary.pop("never_predicted") == []
    assert {v for v in summary.values() if not isinstance(v, dict)} == {None}
    json.dumps(summary, allow_nan=False)


def test_counts_pass_two_to_the_31():
    counts = np.full((3, 2, 3), 2**40)
    assert scores.mean_iou(counts) == pytest.approx(1 / 3)
    assert scores.summary(counts, ["a", "b"])["f2"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([[0, 1]], [[0, 3]], "predictions hold 3"),
        ([[0, 1]], [[0, -1]], "predictions hold -1"),
        ([[0, 7]], [[0, 1]], "labels hold 7"),
        ([[0, 1]], [[0, 1, 1]], r"\(1, 2\).*\(1, 3\)"),
        ([[0, 1]], [[0.2, 0.8]], "predictions are float64"),
    ],
)
def test_wrong_input_is_said(labels, predictions, message):
    with pytest.raises(BenchError, match=message):
        confusion_counts(np.array(labels), np.array(predictions), 3)


def test_what_is_predicted_at_ignored_pixels_is_free():
    assert confusion_counts(np.array([[1, 255]]), np.array([[1, 255]]), 2).tolist() == [[[0, 0, 0], [1, 0, 0]]]


def test_ignore_index_none_counts_everything():
    labels = np.zeros((1, 2, 2), np.uint8)
    labels[0, 0, 0] = 255
    assert confusion_counts(labels, labels, 256, ignore_index=None)[0, [0, 255], 0].tolist() == [3, 1]


batches = st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255])),
        hnp.arrays(np.int64, shape, elements=st.integers(0, 2)),
    )
)


@given(batches)
@settings(deadline=None, max_examples=60)
def test_counts_add_up_and_bounds_hold(batch):
    labels, predictions = batch
    counts = confusion_counts(labels, predictions, 3)
    counted = (labels != 255).sum(axis=(1, 2))
    assert (counts[..., 0] + counts[..., 2]).sum(axis=1).tolist() == counted.tolist()
    assert (counts[..., 0] + counts[..., 1]).sum(axis=1).tolist() == counted.tolist()
    summary = scores.summary(counts, "abc")
    json.dumps(summary, allow_nan=False)
    for name in "abc":
        iou, dice = summary["iou"][name], summary["dice_per_class"][name]
        assert (iou is None) == (dice is None)
        if iou is not None:
            assert 0 <= iou <= dice <= 1
            assert dice == pytest.approx(2 * iou / (1 + iou))


@given(batches)
@settings(deadline=None, max_examples=30)
def test_scores_agree_with_sklearn(batch):
    labels, predictions = batch
    true, predicted = labels[labels != 255], predictions[labels != 255]
    present = sorted(set(true.tolist()) | set(predicted.tolist()))
    if not present:
        return
    summary = scores.summary(confusion_counts(labels, predictions, 3), "abc")
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert summary["mean_iou"] == pytest.approx(jaccard_score(true, predicted, **options))
    assert summary["dice"] == pytest.approx(fbeta_score(true, predicted, beta=1, **options))
    assert summary["f2"] == pytest.approx(fbeta_score(true, predicted, beta=2, **options))
    assert summary["pixel_accuracy"] == pytest.approx((true == predicted).mean())


def naive_threshold_counts(labels, probabilities):
    positive = [probabilities > np.asarray(t, probabilities.dtype) for t in THRESHOLDS]
    cells = [[(p & (labels == 1)), (p & (labels == 0)), (~p & (labels == 1))] for p in positive]
    return np.moveaxis(np.array(cells).reshape(len(THRESHOLDS), 3, len(labels), -1).sum(axis=-1), -1, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threshold_counts_are_those_of_a_loop_over_thresholds(dtype):
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 255], np.uint8), (3, 20, 21))
    probabilities = rng.random(labels.shape).astype(dtype)
    probabilities[0, 0, :19] = THRESHOLDS  # ties: not greater, so not positive
    probabilities[0, 1, :3] = 0.0, 1.0, np.nan
    counts = threshold_counts(labels, probabilities)
    assert counts.dtype == np.int64
    assert counts.shape == (3, 19, 3)
    np.testing.assert_array_equal(counts, naive_threshold_counts(labels, probabilities))


def test_threshold_one_half_is_the_argmax():
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1, 255], np.uint8), (2, 9, 9))
    probabilities = rng.random(labels.shape).astype(np.float32)
    probabilities[0, 0, 0] = 0.5
    argmax = np.argmax(np.stack([1 - probabilities, probabilities], axis=-1), axis=-1)
    at_half = threshold_counts(labels, probabilities)[:, THRESHOLDS.index(0.5)]
    np.testing.assert_array_equal(at_half, confusion_counts(labels, argmax, 2)[:, 1])


def test_threshold_counts_want_binary_labels():
    with pytest.raises(BenchError, match="labels hold 2"):
        threshold_counts(np.array([[0, 2]]), np.array([[0.1, 0.9]]))


def test_table_comes_back_and_gives_the_same_summary(tmp_path):
    path = tmp_path / "images.parquet"
    counts, thresholds = np.arange(12).reshape(2, 2, 3), np.arange(2 * 19 * 3).reshape(2, 19, 3) + 2**40
    write_table(path, ["a_01", "a_02"], ["a", "a"], counts, thresholds)
    table = read_table(path)
    assert (table.names, table.groups) == (("a_01", "a_02"), ("a", "a"))
    np.testing.assert_array_equal(table.counts, counts)
    np.testing.assert_array_equal(table.threshold_counts, thresholds)
    assert scores.summary(table.counts, "ab") == scores.summary(counts, "ab")
    assert [p.name for p in tmp_path.iterdir()] == ["images.parquet"]


def test_table_columns_are_the_documented_ones(tmp_path):
    pd = pytest.importorskip("pandas")
    counts = np.arange(2 * 12 * 3).reshape(2, 12, 3)  # 12 classes: tp_10 must not sort before tp_2
    write_table(tmp_path / "t", ["x", "y"], ["g", "h"], counts)
    frame = pd.read_parquet(tmp_path / "t")
    assert list(frame.columns[:5]) == ["name", "group", "tp_0", "fp_0", "fn_0"]
    assert frame["fn_11"].tolist() == counts[:, 11, 2].tolist()
    assert frame["fn_11"].dtype == np.int64
    table = read_table(tmp_path / "t")
    np.testing.assert_array_equal(table.counts, counts)
    assert table.threshold_counts is None
    write_table(tmp_path / "b", ["x", "y"], ["g", "h"], counts[:, :2], np.zeros((2, 19, 3), np.int64))
    columns = list(pd.read_parquet(tmp_path / "b").columns)
    assert (columns[8], columns[-1], len(columns)) == ("tp_t05", "fn_t95", 2 + 6 + 57)


def test_a_column_of_a_metric_that_this_version_does_not_know_is_not_lost(tmp_path):
    later = np.array([2.5, np.nan])
    counts = np.zeros((2, 2, 3), np.int64)
    write_table(tmp_path / "t", ["x", "y"], ["g", "h"], counts, extra={"later": later})
    (found,) = read_table(tmp_path / "t").extra.items()
    assert found[0] == "later"
    np.testing.assert_array_equal(found[1], later)
    assert not read_table(tmp_path / "t", counts_only=True).extra


def test_empty_table_and_no_table(tmp_path):
    write_table(tmp_path / "t", [], [], np.zeros((0, 2, 3), np.int64))
    assert read_table(tmp_path / "t").counts.shape == (0, 2, 3)
    (tmp_path / "broken").write_text("no parquet")
    for name in ("broken", "missing"):
        with pytest.raises(BenchError, match=f"{name}.*no readable per-image table"):
            read_table(tmp_path / name)


def test_thresholds_are_nineteen_twentieths():
    assert [math.isclose(t, k / 20) for k, t in enumerate(THRESHOLDS, 1)] == [True] * 19


def test_each_images_own_mean_iou():
    counts = np.array([[[2, 1, 1], [0, 0, 0]], [[3, 0, 1], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
    # an absent class is left out: 2 / 4; (3 / 4 + 1 / 2) / 2; nothing there
    np.testing.assert_allclose(scores.image_means(counts), [0.5, 0.625, np.nan])


@pytest.mark.parametrize(
    ("kind", "cells"),
    [(np.uint8, 5), (np.uint8, 41), (np.uint8, 256), (np.uint16, 257), (np.uint16, 65026), (np.uint32, 65537)],
)
def test_histograms_are_those_of_numpy(kind, cells):
    rows = np.random.default_rng(cells).integers(0, cells, (3, 5000)).astype(kind)
    rows[0], rows[1, :100] = cells - 1, 0
    expected = np.stack([np.bincount(row, minlength=cells) for row in rows])
    np.testing.assert_array_equal(_histograms(rows, cells), expected)
    assert _histograms(rows[:, :0], cells).sum() == 0 and _histograms(rows[:0], cells).shape == (0, cells)


def test_counts_beyond_those_that_float32_holds_are_exact():
    row = np.ones((1, 2**24 + 3), np.uint8)
    row[0, -1] = 0
    assert _histograms(row, 2).tolist() == [[1, 2**24 + 2]]
