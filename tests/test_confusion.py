"""Which class was taken for which: counted by hand, stored, summed, audited and shown."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_results import CLASSES, fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.evaluation.confusion import confusion_counts, confusion_matrices
from bench.evaluation.image_table import ImageTable, read_confusion, read_table, write_table
from bench.evaluation.predicted.confusion_cells import cells_of, joined
from bench.report.findings import confusion_maps
from bench.report.render import write_report
from bench.results.analysis.definitions.metric_definitions import pair_as_one
from bench.results.predicted.confused_classes import Confusion
from bench.results.trial_files import IMAGES

# Two images of 3 x 3 pixels, three classes, 255 doesn't count. By hand:
# the first: 0 as 0 twice, 0 as 1 once, 1 as 1 once, 1 as 2 twice, 2 as 0 once; the second: 2 as 2 nine times.
LABELS = np.array([[[0, 0, 0], [1, 1, 1], [2, 255, 255]], [[2, 2, 2]] * 3], np.uint8)
PREDICTED = np.array([[[0, 0, 1], [1, 2, 2], [0, 1, 2]], [[2, 2, 2]] * 3], np.uint8)
MATRICES = [[[2, 1, 0], [0, 1, 2], [1, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 9]]]


def cells(matrices=MATRICES):
    return joined(cells_of(np.array(matrix)) for matrix in matrices)


def test_pixels_are_counted_by_label_and_prediction():
    assert confusion_matrices(LABELS, PREDICTED, 3).tolist() == MATRICES
    # class 0: tp 2, fp 1 (the 2), fn 1; class 1: tp 1, fp 1, fn 2; class 2: tp 0, fp 2, fn 1
    assert confusion_counts(LABELS, PREDICTED, 3)[0].tolist() == [[2, 1, 1], [1, 1, 2], [0, 2, 1]]


def test_only_cells_with_pixels_are_stored_and_come_back(tmp_path):
    found = cells()
    assert (found.starts.tolist(), found.true.tolist(), found.predicted.tolist(), found.pixels.tolist()) == (
        [0, 5, 6],
        [0, 0, 1, 1, 2, 2],
        [0, 1, 1, 2, 0, 2],
        [2, 1, 1, 2, 1, 9],
    )
    assert found.total(3).tolist() == np.sum(MATRICES, axis=0).tolist()
    counts = confusion_counts(LABELS, PREDICTED, 3)
    assert found.counts(3).tolist() == counts.tolist()
    assert found.of_pair(1, 2).tolist() == [2, 0] and found.of_pair(2, 0).tolist() == [1, 0]
    write_table(tmp_path / "t", ["a", "b"], ["a", "b"], counts, confusion=found)
    for read in (read_table(tmp_path / "t").confusion, read_confusion(tmp_path / "t", 3)):
        assert read is not None and all(np.array_equal(a, b) for a, b in zip(read, found, strict=True))
    assert read_table(tmp_path / "t", counts_only=True).confusion is None
    assert pq.read_table(tmp_path / "t")["confusion_pixels"].to_pylist() == [[2, 1, 1, 2, 1], [9]]


def test_an_image_without_a_counted_pixel_has_no_cell(tmp_path):
    found = joined([cells_of(np.zeros((3, 3), np.int64)), cells_of(np.array(MATRICES[1]))])
    write_table(tmp_path / "t", ["a", "b"], ["a", "b"], found.counts(3), confusion=found)
    assert read_confusion(tmp_path / "t", 3).starts.tolist() == [0, 0, 1]


def test_a_table_without_images_has_no_cells(tmp_path):
    write_table(tmp_path / "t", [], [], np.zeros((0, 3, 3), np.int64), confusion=joined([]))
    assert read_confusion(tmp_path / "t", 3).total(3).sum() == 0


def test_150_classes_cost_what_their_cells_cost(tmp_path):
    few = np.zeros((150, 150), np.int64)
    few[[3, 3, 149], [3, 4, 149]] = 7, 1, 5
    write_table(tmp_path / "few", ["a"], ["a"], np.zeros((1, 2, 3), np.int64), confusion=joined([cells_of(few)]))
    write_table(tmp_path / "none", ["a"], ["a"], np.zeros((1, 2, 3), np.int64), confusion=joined([cells_of(0 * few)]))
    assert (tmp_path / "few").stat().st_size - (tmp_path / "none").stat().st_size < 500


def test_a_table_of_an_earlier_version_has_no_matrices(tmp_path):
    write_table(tmp_path / "t", ["a"], ["a"], np.ones((1, 3, 3), np.int64))
    assert read_confusion(tmp_path / "t", 3) is None and read_table(tmp_path / "t").confusion is None


LISTS = {
    "confusion_true": pa.array([[0, 1]], pa.list_(pa.uint8())),
    "confusion_predicted": pa.array([[0, 0]], pa.list_(pa.uint8())),
    "confusion_pixels": pa.array([[1, 1]], pa.list_(pa.int64())),
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"confusion_true": pa.array([[0, 2]], pa.list_(pa.uint8()))}, "hold class 2, and there are 2"),
        ({"confusion_pixels": pa.array([[1, 0]], pa.list_(pa.int64()))}, "holds a number below 1"),
        ({"confusion_pixels": pa.array([[1]], pa.list_(pa.int64()))}, "don't belong together"),
        ({"confusion_pixels": pa.array([[1, None]], pa.list_(pa.int64()))}, "don't belong together"),
        ({"confusion_pixels": pa.array([1])}, "aren't lists"),
        ({"confusion_true": pa.array([None], pa.list_(pa.uint8()))}, "aren't lists"),
        ({"confusion_true": pa.array([["a", "b"]])}, "aren't lists"),
    ],
)
def test_matrices_that_make_no_sense_are_not_read(tmp_path, changes, said):
    columns = {"name": ["a"], "group": ["a"], **{f"{kind}_{c}": [1] for c in (0, 1) for kind in ("tp", "fp", "fn")}}
    pq.write_table(pa.table({**columns, **LISTS, **changes}), tmp_path / "t")
    with pytest.raises(BenchError, match=f"no readable per-image table .*{said}"):
        read_table(tmp_path / "t")


def test_lists_that_would_exhaust_memory_are_not_read(tmp_path):
    many = 60_000_000
    zeros = pa.ListArray.from_arrays(pa.array([0, many], pa.int32()), pa.array(np.zeros(many, np.uint8)))
    counts = {f"{kind}_0": [1] for kind in ("tp", "fp", "fn")}
    columns = dict.fromkeys(LISTS, zeros)
    pq.write_table(pa.table({"name": ["a"], "group": ["a"], **counts, **columns}), tmp_path / "t")
    assert (tmp_path / "t").stat().st_size < 100_000
    for read in (read_table, lambda path: read_confusion(path, 1)):
        with pytest.raises(BenchError, match="values in lists"):
            read(tmp_path / "t")


def test_two_confused_classes_as_one():
    # Summed: 0 as 0 2, 0 as 1 1, 1 as 1 1, 1 as 2 2, 2 as 0 1, 2 as 2 9. With 1 and 2 as one: tp 12, fp 1, fn 1.
    table = ImageTable(("a", "b"), ("a", "b"), confusion_counts(LABELS, PREDICTED, 3), None, {}, cells())
    score = pair_as_one(("x", "y", "z"), (1, 2)).score
    assert float(score.of_sums(score.values(table).sum(axis=0))) == pytest.approx((2 / 4 + 12 / 14) / 2)
    with pytest.raises(KeyError):
        score.values(table._replace(confusion=None))


def test_the_most_confused_pairs_and_the_classes_that_are_left():
    matrix = np.array([[90, 6, 4, 0], [0, 10, 0, 0], [0, 20, 80, 0], [1, 0, 0, 9]])
    found = Confusion(("a", "b", "c", "d"), matrix, 1, 1)
    assert [str(one) for one in found.most(2)] == [
        "'c' taken for 'b': 20 pixels, 20.0% of 'c'",
        "'a' taken for 'b': 6 pixels, 6.0% of 'a'",
    ]
    # Wrong pixels: a 10 + 1, b 26, c 24, d 1: b and c stay, a and d become one.
    small = found.united(3)
    assert small.classes == ("b", "c", "2 other classes")
    assert small.matrix.tolist() == [[10, 0, 0], [20, 80, 0], [6, 4, 100]]
    assert found.united(4) is found


@pytest.fixture
def results(tmp_path):
    """Two architectures with two seeds each; the second one's tables are of an earlier version."""
    for arch in ("unet", "deeplab"):
        for seed in (0, 1):
            record, table = fake_record(fake_config(arch, "mobilenet_v2", seed))
            if arch == "deeplab":
                table = table.drop(columns=[name for name in table if name.startswith("confusion")])
            write_trial(tmp_path / "r", record, table)
    return tmp_path / "r"


def summed(results) -> np.ndarray:
    files = list((results / "trials").glob(f"unet*/{IMAGES}"))
    assert len(files) == 2
    return np.sum([read_confusion(file, 3).total(3) for file in files], axis=0)


def test_the_page_shows_the_sums_and_what_was_not_recorded(results):
    html = write_report([results]).files[0].read_text(encoding="utf-8")
    (table,) = re.findall(r'<table class="confusion">.*?</table>', html, re.S)
    matrix = summed(results)
    assert re.findall(r'<th scope="row">(\w+)</th>', table) == list(CLASSES)
    pixels = [int(text.replace(",", "")) for text in re.findall(r'title="([\d,]+) pixels', table)]
    assert pixels == matrix[matrix > 0].tolist()
    share = matrix[0, 1] / matrix[0].sum()
    assert f'title="{matrix[0, 1]:,} pixels, {share:.2%}">{100 * share:.1f}</td>' in table
    assert "Not recorded, because these were scored by an earlier version: deeplab:mobilenet_v2" in html


def test_more_maps_than_fit_are_counted(results, monkeypatch):
    monkeypatch.setattr(confusion_maps, "MOST_ON_PAGE", 1)
    html = write_report([results]).files[0].read_text(encoding="utf-8")
    assert html.count('<table class="confusion">') == 1 and "the best 1 of 2 configurations" in html


def test_audit_names_what_is_confused_and_unites_the_worst_pair(results):
    answer = CliRunner().invoke(app, ["audit", str(results)], env={"COLUMNS": "200"})
    assert answer.exit_code == 0, answer.output
    matrix = summed(results)
    wrong = matrix - np.diag(np.diag(matrix))
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    text = f"'{CLASSES[true]}' taken for '{CLASSES[predicted]}': {wrong.max():,} pixels"
    assert f"- unet:mobilenet_v2: {text}" in answer.output
    assert "- deeplab:mobilenet_v2: not recorded." in answer.output
    one, other = np.unravel_index(np.triu(wrong + wrong.T).argmax(), wrong.shape)
    assert f"{CLASSES[one]} and {CLASSES[other]}, confused most by the best, as one" in " ".join(answer.output.split())


def test_audit_names_matrices_that_do_not_add_up(results):
    file = next((results / "trials").glob(f"unet*/{IMAGES}"))
    table = read_table(file)
    changed = table.confusion.pixels.copy()
    changed[0] += 1
    write_table(file, *table._replace(confusion=table.confusion._replace(pixels=changed)))
    answer = CliRunner().invoke(app, ["audit", str(results)])
    assert answer.exit_code == 1 and "don't add up to the table's counts" in answer.output
