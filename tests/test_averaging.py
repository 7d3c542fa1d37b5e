"""Means of probabilities over views and models, by hand; the sizes of scaled views; what an ensemble may consist of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_results import fake_config, fake_record

from bench.config.view_sizes import view_sizes
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.data.reading.picture import Picture
from bench.evaluation.averaging.mean_predictor import MeanPredictor, View, milliseconds_per_image, mirrored_views
from bench.evaluation.predictor import Predictor, softmax
from bench.results.analysis.same_images import of_tables
from bench.results.loading import StoredTrial
from bench.trials.saved.stored_trials import check_alike
from tests.test_predict import FakeEngine
from tests.test_robustness import table_of


class MapEngine(FakeEngine):
    """A model that gives the same logits (H, W, C) for every image."""

    def __init__(self, logits):
        super().__init__(tile=logits.shape[:2], classes=logits.shape[-1])
        self.map = logits.astype(np.float32)

    def logits(self, images):
        return np.broadcast_to(self.map, (len(images), *self.map.shape))


def of_map(logits, batch_size=2) -> Predictor:
    engine = MapEngine(np.asarray(logits, float))
    return Predictor(engine, engine.map.shape[:2], batch_size=batch_size)


def of_shares(shares) -> Predictor:
    """A model of two classes with these probabilities of class 1, (H, W)."""
    shares = np.asarray(shares, float)
    return of_map(np.stack([np.zeros_like(shares), np.log(shares / (1 - shares))], axis=-1))


BLACK = np.zeros((3, 1, 2, 3), np.uint8)


def test_a_mirrored_view_is_mirrored_back():
    mean = MeanPredictor(mirrored_views(of_shares([[0.9, 0.2]])))
    # left: 0.9 as it is; in the mirror image the right one is left: (0.9 + 0.2) / 2 on both sides
    classes, foreground = mean.classes(BLACK)
    np.testing.assert_allclose(foreground, np.full((3, 1, 2), 0.55), rtol=1e-5)
    assert classes.tolist() == [[[1, 1]]] * 3


def test_what_depends_on_colours_alone_stays_as_it_is():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    plain = Predictor(FakeEngine(), (8, 8), batch_size=2)
    mean = MeanPredictor(mirrored_views(plain))
    np.testing.assert_allclose(softmax(mean.logits(images)), softmax(plain.logits(images)), rtol=1e-5)
    np.testing.assert_array_equal(mean.classes(images)[0], plain.classes(images)[0])


def test_an_ensemble_averages_probabilities_not_logits():
    """Two doubtful models against a sure one: by logits the sure one would win, by probabilities it doesn't."""
    logits = [np.array([[[0.0, 1.0, -9.0]]]), np.array([[[0.0, 1.0, -9.0]]]), np.array([[[8.0, 0.0, -9.0]]])]
    mean = MeanPredictor([View(of_map(one)) for one in logits])
    expected = np.mean([softmax(one) for one in logits], axis=0)  # class 1: (0.731 + 0.731 + 0.000) / 3
    image = np.zeros((1, 1, 1, 3), np.uint8)
    np.testing.assert_allclose(softmax(mean.logits(image))[0], expected, rtol=1e-4)
    assert expected[0, 0, 0] == pytest.approx((0.2689 + 0.2689 + 0.9996) / 3, abs=1e-3)
    assert mean.classes(image)[0].tolist() == [[[0]]]
    assert np.sum(logits, axis=0)[0, 0].argmax() == 0 and np.sum(logits[:2], axis=0)[0, 0].argmax() == 1


def test_a_sure_model_has_finite_logits():
    mean = MeanPredictor([View(of_map([[[500.0, -500.0]]]))] * 2)
    assert np.isfinite(mean.logits(np.zeros((1, 1, 1, 3), np.uint8))).all()


def test_a_scaled_view_comes_back_at_the_images_size():
    small, large = (Predictor(FakeEngine(tile=(side, side)), (side, side), batch_size=2) for side in (6, 12))
    image = np.full((1, 8, 8, 3), 40, np.uint8)
    image[:, :, 4:] = 200
    mean = MeanPredictor([View(Predictor(FakeEngine(), (8, 8), batch_size=2)), View(small), View(large)])
    found = mean.logits(image)
    assert found.shape == (1, 8, 8, 3)
    np.testing.assert_allclose(softmax(found), 1 / 3, rtol=1e-5)  # grey: all classes alike
    assert [str(view) for view in mean.views] == ["8x8", "6x6", "12x12"]


def test_views_come_back_to_a_pictures_own_size():
    mean = MeanPredictor(mirrored_views(of_shares([[0.9, 0.2]])))
    (values,) = mean.probabilities([Picture.of(np.zeros((4, 8, 3), np.uint8))])
    assert values.shape == (4, 8, 2)
    np.testing.assert_allclose(values[..., 1], 0.55, rtol=1e-4)


def test_every_predictor_is_timed():
    plain = of_shares([[0.9, 0.2]])
    found = milliseconds_per_image({"one": plain, "both": MeanPredictor(mirrored_views(plain))}, np.dtype("uint8"))
    assert set(found) == {"one", "both"} and min(found.values()) > 0


@pytest.mark.parametrize(
    ("size", "filters", "expected"),
    [
        ((96, 96), [4, 8, 8, 8], [(72, 72), (120, 120)]),  # multiples of 8
        ((96, 64), [4, 8], [(72, 48), (120, 80)]),
        ((64, 64), [4] * 6, [(32, 32), (96, 96)]),  # multiples of 32: 48 and 80 are none, nor is 64 another size
        ((128, 128), [4] * 6, [(96, 96), (160, 160)]),
    ],
)
def test_scaled_views_have_sizes_that_the_architecture_takes(size, filters, expected):
    config = TrialConfig("unet", "shapes", image_size=size, params={"filters": filters})
    assert view_sizes(config) == expected


def test_an_image_that_can_not_be_smaller_is_said():
    config = TrialConfig("unet", "shapes", image_size=(32, 32), params={"filters": [4] * 6})
    with pytest.raises(
        BenchError, match="needs a smaller size than 32x32, but unet takes multiples of 32 from 32x32 on"
    ):
        view_sizes(config)


def test_a_model_of_crops_predicts_other_sizes_in_tiles():
    config = TrialConfig("unet", "shapes", image_size=(96, 96), crop=(64, 64), params={"filters": [4, 8]})
    assert view_sizes(config) == [(72, 72), (120, 120)]
    with pytest.raises(BenchError, match="from 80x80 on"):
        view_sizes(replace(config, crop=(80, 80)))


def stored(name, **changes) -> StoredTrial:
    config = changes.pop("config", {})
    record, _ = fake_record(fake_config(**config))
    return StoredTrial(replace(record, dataset=record.dataset | changes), Path(name))


def test_seeds_and_architectures_make_an_ensemble():
    check_alike(
        [stored("a"), stored("b", config={"seed": 1}), stored("c", config={"arch": "deeplab", "backbone": "resnet50"})]
    )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (stored("b", config={"image_size": (64, 64)}), "the same image size: 'a' has 128x128, 'b' has 64x64"),
        (stored("b", fingerprint="another"), "the same data (fingerprint): 'a' has 5f2c9d1ab77e4410, 'b' has another"),
        (stored("b", classes=["cat", "dog"]), "the same classes: 'a' has pet, background, border, 'b' has cat, dog"),
        (stored("b", images={"train": 9, "val": 27, "test": 7}), "'a' has 27 val, 12 test, 'b' has 27 val, 7 test"),
        (stored("b", config={"resize": "letterbox"}), "the same resize policy: 'a' has stretch, 'b' has letterbox"),
        (stored("b", config={"eval_size": "native"}), "the same evaluation size: 'a' has train, 'b' has native"),
        (stored("a"), "two different runs or more, each named once"),
    ],
)
def test_an_ensemble_of_what_does_not_fit_says_both(other, said):
    with pytest.raises(BenchError) as error:
        check_alike([stored("a"), other])
    assert said in str(error.value)


def test_one_run_is_no_ensemble():
    with pytest.raises(BenchError, match="two different runs"):
        check_alike([stored("a")])


def test_a_difference_on_the_same_images_is_surer_than_either_score():
    hard = np.linspace(0.3, 0.98, 12)
    plain, better = of_tables([table_of(hard), table_of(hard + 0.02)])
    gain = better.drift_from(plain)
    assert 0 < gain.low < gain.mean < gain.high < 0.05
    assert gain.mean == pytest.approx(better.mean - plain.mean)
    assert gain.high - gain.low < (plain.interval.high - plain.interval.low) / 5
