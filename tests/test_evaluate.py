"""The per-image table and its metrics from predictions, at the training size and at native size; tuning."""

from dataclasses import dataclass

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.data import geometry
from bench.data.packing.packed import Pack
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import read_table, write_table
from bench.evaluation.metric_protocol import MIN_AREAS, Prediction
from bench.evaluation.metrics.objects import AIRBUS_F2, airbus_f2, drop_small
from bench.evaluation.native.host import decide
from bench.evaluation.predictor import Predictor
from bench.evaluation.summary import summarise
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint, best, tune
from tests.test_predict import FakeEngine

SIZE = (32, 32)


@dataclass
class FakePack:
    """A pack in memory: truths and instances at native size, and images that hold the probability of class 1."""

    images: np.ndarray
    truths: list
    numbers: list | None = None
    classes: tuple[str, ...] = ("sea", "ship")
    resize: str = "stretch"

    def __post_init__(self):
        self.names = tuple(f"image_{i}" for i in range(len(self.truths)))
        self.groups = self.names
        self.original_sizes = [truth.shape for truth in self.truths]
        self.labels = np.stack([geometry.resize_labels(t, SIZE, self.resize) for t in self.truths])

    def truth(self, index):
        return self.truths[index]

    rows = Pack.rows

    def instances(self, index):
        return self.numbers[index] if self.numbers else None


class RedEngine(FakeEngine):
    """A model that makes class 1 as probable as a pixel is red."""

    def __init__(self):
        super().__init__(tile=SIZE, classes=2)

    def logits(self, images):
        red = np.clip(images[..., 0].astype(np.float32) / 255, 0.001, 0.999)
        return np.stack([np.zeros_like(red), np.log(red / (1 - red))], axis=-1)


def red(probability: np.ndarray) -> np.ndarray:
    image = np.zeros((*probability.shape, 3), np.uint8)
    image[..., 0] = np.round(probability * 255)
    return image


def predictor(**options) -> Predictor:
    return Predictor(RedEngine(), SIZE, batch_size=3, **options)


def boxes(*corners, size=SIZE) -> np.ndarray:
    numbers = np.zeros(size, np.uint16)
    for number, (top, left, bottom, right) in enumerate(corners, 1):
        numbers[top:bottom, left:right] = number
    return numbers


def ships() -> FakePack:
    """Five images of 32 x 32: two touching ships, one ship, a speck beside a ship, nothing twice."""
    numbers = [boxes((4, 4, 12, 12), (4, 12, 12, 20)), boxes((8, 8, 24, 24)), boxes((4, 4, 14, 14)), boxes(), boxes()]
    probabilities = [0.9 * (n != 0) for n in numbers]
    probabilities[1] = 0.4 * (numbers[1] != 0)  # found at thresholds below 0.4 alone
    probabilities[2] = probabilities[2] + 0.8 * (boxes((28, 28, 30, 30)) != 0)  # a false alarm of 4 pixels
    truths = [(n != 0).astype(np.uint8) for n in numbers]
    return FakePack(np.stack([red(p) for p in probabilities]), truths, numbers)


def scored(pack, **options):
    task = Task(pack, options.pop("own", ("airbus_f2",)), native=options.pop("native", False))
    resize = options.pop("resize", "stretch")
    return evaluate(predictor(resize=resize), task, np.arange(len(pack.truths)), **options)


def test_object_scores_of_a_split_by_hand():
    result = scored(ships(), full=True)
    # touching ships are one blob: 0; the one at 0.4 is missed: 0; one found, one made up: 5 / 6; nothing: 1 twice
    assert result.table.extra["airbus_f2"].tolist() == pytest.approx([0, 0, 5 / 6, 1, 1])
    metrics = result.metrics()
    assert metrics["airbus_f2"] == pytest.approx((5 / 6 + 2) / 5)
    assert metrics["airbus_f2_with_objects"] == pytest.approx(5 / 18)
    assert metrics["object_presence_accuracy"] == 4 / 5
    assert metrics["foreground_iou"] == pytest.approx((128 + 100) / (128 + 256 + 100 + 4))
    assert metrics["mean_iou"] is not None and metrics["boundary_iou"] is not None
    assert "tuned" not in metrics


def test_a_validation_counts_only_what_it_shows():
    table = scored(ships()).table
    assert table.threshold_counts is None and set(table.extra) == {"objects", "airbus_f2"}


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_objects_are_resized_to_the_training_size_as_labels_are(resize):
    numbers = boxes((8, 8, 24, 24), (8, 24, 24, 40), (40, 40, 41, 41), size=(64, 48))  # the third vanishes
    truth = (numbers != 0).astype(np.uint8)
    apart = geometry.resize_labels(numbers, SIZE, resize, fill=0)
    pack = FakePack(np.stack([red(0.9 * (apart == 1))]), [truth], [numbers], resize=resize)
    assert scored(pack, resize=resize).table.extra["airbus_f2"].tolist() == pytest.approx([5 / 9])  # one of two


def test_data_without_instances_have_connected_objects():
    pack = ships()
    pack.numbers = None
    assert scored(pack).table.extra["airbus_f2"].tolist() == pytest.approx([1, 0, 5 / 6, 1, 1])


def test_the_threshold_and_the_area_are_those_that_validate_best():
    pack = ships()
    task = Task(pack, ("airbus_f2",))
    point = tune(predictor(), task, np.arange(5))
    assert point == OperatingPoint(0.35, 8)  # below 0.4, as near to 0.5 as can be; more than the speck's 4 pixels
    metrics = scored(pack, point=point).metrics()
    assert metrics["tuned"]["airbus_f2"] == pytest.approx((0 + 1 + 1 + 1 + 1) / 5)
    assert metrics["tuned"]["foreground_iou"] == 1
    assert (metrics["tuned"]["threshold"], metrics["tuned"]["min_area"]) == (0.35, 8)
    assert metrics["airbus_f2"] == pytest.approx((5 / 6 + 2) / 5)  # as without


def test_pixels_alone_are_tuned_by_their_own_score():
    pack = ships()
    everything = np.arange(5)
    assert tune(predictor(), Task(pack), everything) == OperatingPoint(0.35, 0)
    pack = FakePack(np.stack([red(np.full(SIZE, 0.3)), red(np.full(SIZE, 0.7))]), [np.zeros(SIZE, np.uint8)] * 2)
    pack.truths[0] = np.ones(SIZE, np.uint8)
    pack.labels = np.stack(pack.truths)
    # IoU 1/2 up to 0.25, 0 between, none above 0.7; the mean dice is 1/2 up to 0.65 and again above: nearest to 0.5
    assert tune(predictor(), Task(pack), np.arange(2)) == OperatingPoint(0.25, 0)
    assert tune(predictor(), Task(pack, ("carvana_dice",)), np.arange(2)).threshold == 0.7


def test_among_equals_nearest_to_one_half_and_the_smallest_area():
    assert best(np.ones((19, len(MIN_AREAS)))) == OperatingPoint(0.5, 0)
    scores = np.zeros((19, len(MIN_AREAS)))
    scores[[0, 14], 3] = 0.4
    assert best(scores) == OperatingPoint(THRESHOLDS[14], MIN_AREAS[3])


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([0.5], 256),  # the next one is worse
        ([0.6, 0.7, 0.6], 1024),
        ([0.8, 0.8, 0.8, 0.9], 4096),  # equal ones don't end the search
        ([0.8, 0.8, 0.8, 0.7], 512),  # the smallest of equal ones
        ([0.5, 0.9], 256),  # beyond one that is worse nothing is tried
        ([0.8] * 22, 512),
    ],
)
def test_the_smallest_object_is_searched_beyond_256_pixels_while_that_helps(later, expected):
    scores = np.zeros((19, len(MIN_AREAS)))
    scores[9, :8] = [0.1] * 7 + [0.55]
    scores[9, 8 : 8 + len(later)] = later
    assert best(scores) == OperatingPoint(0.5, expected)


def test_a_best_area_below_256_pixels_is_not_searched_further():
    scores = np.zeros((19, len(MIN_AREAS)))
    scores[9, [3, 8]] = 0.4, 0.9
    assert best(scores) == OperatingPoint(0.5, 16)


def test_false_objects_larger_than_256_pixels_are_dropped_if_that_validates_best():
    true, false = boxes((2, 2, 30, 30)), boxes((2, 2, 22, 22))  # 784 and 400 pixels
    images = [red(np.where(numbers, 0.9, 0.01)) for numbers in (true, false)]
    truths = [(true != 0).astype(np.uint8), np.zeros(SIZE, np.uint8)]
    pack = FakePack(np.stack(images), truths, [true, np.zeros_like(false)])
    assert tune(predictor(), Task(pack, ("airbus_f2",)), np.arange(2)) == OperatingPoint(0.5, 512)


def test_each_minimum_area_scores_as_if_it_were_applied():
    rng = np.random.default_rng(0)
    truth = boxes((3, 3, 20, 20), (30, 5, 60, 40), size=(64, 48))
    foreground = np.kron(rng.random((16, 12)), np.ones((4, 4))).astype(np.float32)
    prediction = Prediction((truth > 0).astype(np.uint8), np.zeros_like(truth, np.uint8), ("a", "b"), foreground, truth)
    found = AIRBUS_F2.tuning.per_image(prediction)
    for row, column in ((2, 0), (9, 3), (12, 5), (15, 9), (4, 28)):
        mask = drop_small(foreground > np.float32(THRESHOLDS[row]), MIN_AREAS[column])
        expected = airbus_f2(truth[None].astype(int), mask[None], true_is_instances=True)[0]
        assert found[row, column] == pytest.approx(expected)


def test_carvana_by_hand():
    metrics = scored(ships(), own=("carvana_dice",), point=OperatingPoint(0.35)).metrics()
    # dice: 1, missed 0, 2 x 100 / (2 x 100 + 4), empty in both 1 twice
    expected = (1 + 0 + 200 / 204 + 1 + 1) / 5
    assert metrics["carvana_dice"] == pytest.approx(expected)
    assert metrics["carvana_error"] == pytest.approx(1000 * (1 - expected))
    assert metrics["tuned"]["carvana_dice"] == pytest.approx((4 + 200 / 204) / 5)


def test_ignored_pixels_are_no_objects():
    pack = ships()
    for index in (0, 2):
        pack.truths[index] = np.where(np.arange(32) >= 12, 255, pack.truths[index]).astype(np.uint8)  # columns from 12
    pack.labels = np.stack(pack.truths)
    result = scored(pack, point=OperatingPoint(0.5, 4))
    # what is left of the touching pair is one ship, found; the speck is ignored, and of the ship 8 of 10 columns stay
    assert result.table.extra["airbus_f2"][[0, 2]].tolist() == [1, 1]
    assert result.metrics()["tuned"]["airbus_f2"] == pytest.approx(result.metrics()["airbus_f2"])


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_native_size_compares_with_the_labels_as_they_are(resize):
    rng = np.random.default_rng(0)
    truths = []
    for size in ((64, 48), (32, 32), (40, 100), (16, 24)):
        truth = np.zeros(size, np.uint8)
        truth[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
        truth[rng.random(size) < 0.02] = 255
        truths.append(truth)
    images = np.stack([red((geometry.resize_labels(t, SIZE, resize) == 1) * 0.9) for t in truths])
    pack = FakePack(images, truths, [(t == 1).astype(np.uint16) for t in truths], resize=resize)
    result = scored(pack, native=True, full=True, resize=resize)
    assert result.table.counts[..., [0, 2]].sum(axis=(1, 2)).tolist() == [int((t != 255).sum()) for t in truths]
    guide = predictor(resize=resize)
    for row, truth in enumerate(truths):  # computed again by hand from the logits
        logits = geometry.restore(guide.logits(images[row : row + 1])[0], truth.shape, resize)
        hit = (logits[..., 1] > logits[..., 0])[truth != 255]
        tp, fp = int((hit & (truth[truth != 255] == 1)).sum()), int((hit & (truth[truth != 255] == 0)).sum())
        assert result.table.counts[row, 1, :2].tolist() == [tp, fp]
    at_size = scored(pack, resize=resize).table.counts[1]
    assert result.table.counts[1].tolist() == at_size.tolist()  # the one whose own size it is
    assert result.metrics()["foreground_iou"] > 0.75
    assert result.metrics()["airbus_f2_with_objects"] > 0.4


def test_all_metrics_can_be_computed_again_from_the_stored_table(tmp_path):
    for own in ((), ("airbus_f2",), ("carvana_dice", "airbus_f2")):
        result = scored(ships(), own=own, full=True, point=OperatingPoint(0.35, 8))
        write_table(tmp_path / "t", *result.table)
        table = read_table(tmp_path / "t")
        assert set(table.extra) == set(result.table.extra)
        for name, values in result.table.extra.items():
            np.testing.assert_array_equal(table.extra[name], values)
        assert summarise(table, ("sea", "ship"), {"threshold": 0.35, "min_area": 8}) == result.metrics()


def test_columns_of_the_table_are_the_documented_ones(tmp_path):
    pd = pytest.importorskip("pandas")
    result = scored(ships(), full=True, point=OperatingPoint())
    write_table(tmp_path / "t", *result.table)
    frame = pd.read_parquet(tmp_path / "t")
    assert frame["objects_tp_small_t50"].tolist() == [0, 0, 1, 0, 0]
    assert frame["objects_fn_small_t95"].tolist() == [2, 1, 0, 0, 0]
    assert frame["tuned_objects_fp_small_t50"].tolist() == [1, 0, 1, 0, 0]
    assert frame["tuned_fp_1"].tolist() == [0, 0, 4, 0, 0]
    assert frame["contour_true_1"].tolist()[:3] == [44, 60, 36]  # 2 (8 + 16) - 4, 4 x 16 - 4, 4 x 10 - 4
    assert frame["boundary_tp_0"].sum() == 0 and frame["boundary_tp_1"].tolist()[0] == 44
    assert frame["airbus_f2"].dtype == np.float64


def test_own_metrics_need_two_classes():
    with pytest.raises(BenchError, match=r"names the metric 'airbus_f2', which needs two classes\. It has 3"):
        Task(
            FakePack(np.zeros((1, *SIZE, 3), np.uint8), [np.zeros(SIZE, np.uint8)], classes=("a", "b", "c")),
            ("airbus_f2",),
        )


def test_the_argmax_is_the_threshold_one_half():
    logits = np.random.default_rng(0).normal(size=(50, 50, 2)).astype(np.float32)
    classes, probability = decide(logits)
    np.testing.assert_array_equal(OperatingPoint().mask(probability), classes == 1)
