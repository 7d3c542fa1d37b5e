"""Predict probabilities for images: batches, tiles, and the way back to an image's native size."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench.data.reading.picture import Picture
from bench.evaluation.native.host import decide
from bench.evaluation.predictor import Predictor, softmax
from bench.training.engines.engine import InferenceEngine


class FakeEngine(InferenceEngine):
    """Logits that say each pixel's colour, without a backend; counts the calls and what shapes they have."""

    def __init__(self, tile=(8, 8), classes=3):
        self.model = SimpleNamespace(input_shape=(None, *tile, 3), output_shape=(None, *tile, classes))
        self.classes = classes
        self.shapes = []

    def logits(self, images):
        self.shapes.append(images.shape)
        return images[..., : self.classes].astype(np.float32) / 255

    def predict(self, images):
        return decide(self.logits(images))

    def put(self, array):
        return array

    def wait(self, value):
        return None


def pictures(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_every_call_has_the_compiled_shape():
    engine = FakeEngine()
    predictor = Predictor(engine, (8, 8), batch_size=4)
    images = np.stack(pictures(*[(8, 8)] * 6))
    np.testing.assert_allclose(predictor.logits(images), images / 255, rtol=1e-6)
    classes, empty = predictor.classes(images)
    np.testing.assert_array_equal(classes, images.argmax(-1))
    assert classes.dtype == np.uint8 and empty.size == 0
    assert engine.shapes == [(4, 8, 8, 3)] * 4


@pytest.mark.parametrize("size", [(8, 9), (20, 33), (64, 8)])
def test_tiles_cover_the_picture_and_agree_where_they_overlap(size):
    engine = FakeEngine()
    predictor = Predictor(engine, size, batch_size=5)
    assert predictor.tiled
    images = np.stack(pictures(size, size, size))
    np.testing.assert_allclose(predictor.logits(images), images / 255, atol=1e-6)
    assert set(engine.shapes) == {(5, 8, 8, 3)}
    np.testing.assert_array_equal(predictor.classes(images)[0], images.argmax(-1))


def test_tiles_overlap_by_a_quarter_at_least():
    from bench.evaluation.predictor import _starts

    for side in range(8, 60):
        starts = _starts(side, 8)
        assert starts[0] == 0 and starts[-1] == side - 8
        assert max(np.diff(starts), default=0) <= 6


def test_where_tiles_differ_the_nearer_centre_weighs_more():
    # Two tiles of width 4 over 5 pixels, at 0 and 1; each says its own number. Column weights 1 2 2 1.
    engine = FakeEngine(tile=(4, 4))
    engine.logits = lambda images: np.broadcast_to(np.arange(2.0)[:, None, None, None], (2, 4, 4, 3))
    logits = Predictor(engine, (4, 5), batch_size=2).logits(np.zeros((1, 4, 5, 3), np.uint8))
    assert logits[0, 0, :, 0] == pytest.approx([0, 1 / 3, 2 / 4, 2 / 3, 1])


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_come_at_each_pictures_own_size(resize, classes):
    engine = FakeEngine(classes=classes)
    images = pictures((8, 8), (16, 4), (5, 31), (8, 8), (9, 9))
    found = list(Predictor(engine, (8, 8), batch_size=2, resize=resize).probabilities(map(Picture.of, images)))
    assert [values.shape for values in found] == [(*image.shape[:2], classes) for image in images]
    assert len(engine.shapes) == 3
    for values in found:
        assert values.dtype == np.float32 and values.min() >= 0
        np.testing.assert_allclose(values.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[0], softmax(images[0][..., :classes] / np.float32(255)), rtol=1e-5)


def test_decide_on_two_classes_by_hand():
    classes, probability = decide(np.array([[0.0, np.log(3)], [np.log(4), 0.0], [1.0, 1.0]], np.float32))
    assert classes.tolist() == [1, 0, 0]
    assert probability == pytest.approx([3 / 4, 1 / 5, 1 / 2])
    assert softmax(np.array([1e4, 0, -1e4], np.float32)).tolist() == [1, 0, 0]
