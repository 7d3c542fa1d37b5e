"""What a stored trial's model gets: other data and files to predict are read by the bands and the scale of training."""

from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_record
from PIL import Image

from bench.config import catalog
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import DatasetSpec, Param
from bench.core.trial_config import TrialConfig
from bench.data.reading.picture import Picture
from bench.data.reading.values import Values
from bench.datasets import bands as drawn
from bench.results.loading import StoredTrial
from bench.trials.plan import prepare_pack
from bench.trials.saved.stored_trials import check_alike
from bench.trials.trained_input import picture_reader
from bench.trials.trained_input.picture_reader import PictureReader
from bench.trials.trained_input.stored_values import stored_values, with_bands_of_data
from bench.trials.trained_input.trained_values import read_as_trained

CHANGES = {
    "halved": lambda image: image // 2,
    "same": lambda image: image,
    "four": lambda image: image[..., :4].copy(),
    "bytes": lambda image: (image // 16).astype(np.uint8),
    "floats": lambda image: image.astype(np.float32),
}


class Changed:
    """A few images of the data set `bands` with other values."""

    def __init__(self, change):
        self.whole, self.change, self.notes = drawn.load(None), change, ()
        some = self.whole.samples[195:205] + self.whole.samples[-3:]  # of all three splits
        self.samples = tuple(replace(sample, token=f"{change} {sample.token}") for sample in some)

    def read(self, sample):
        image, labels = self.whole.read_at(sample, SIZE)
        return CHANGES[self.change](image), labels


def load(data_dir, change):
    return Changed(change)


SIZE = (16, 16)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def trained_on(config, tmp_path):
    """A stored trial without weights, whose record has the values of its configuration's data."""
    pack = prepare_pack(config)
    record = fake_record(config)[0]
    known = {**record.dataset, "values": pack.values.to_dict(), "classes": list(pack.classes)}
    folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
    folder.mkdir()
    return StoredTrial(replace(record, dataset=known), folder), pack


def config_of(change="same", **params):
    return TrialConfig("unet", "changed", image_size=SIZE, dataset_params={"change": change, **params})


@pytest.fixture(scope="module", autouse=True)
def data_set():
    """Register the changed data, whose parameter says how."""
    params = (Param("change", "str", "same", "how"),)
    classes = ("background", "bright", "dark")
    spec = DatasetSpec("changed", f"{__name__}:load", classes, "Bands.", params=params, needs_data_dir=False)
    catalog.datasets().add(spec)
    yield
    catalog.datasets()._specs.pop("changed")


def test_other_data_are_scaled_by_the_numbers_of_training_and_not_by_their_own(tmp_path):
    trial, own = trained_on(config_of(), tmp_path)
    other = read_as_trained(trial, config_of("halved"))
    assert other.values.low == own.values.low and other.values.high == own.values.high
    ratio = np.median(other.images[..., 4] / own.images[..., 4].clip(1))
    assert ratio < 0.5  # a scale found anew would give about 1


def test_chosen_bands_are_chosen_in_other_data_too(tmp_path):
    trial, own = trained_on(config_of(bands="5,2", scale_values="0:4095"), tmp_path)
    other = read_as_trained(trial, config_of("same"))
    np.testing.assert_array_equal(other.images, own.images)


def test_its_own_data_are_read_from_the_pack_that_is_there(tmp_path):
    trial, own = trained_on(config_of(), tmp_path)
    assert read_as_trained(trial, config_of()).path == own.path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("four", "4 bands of uint16"),
        ("bytes", "6 bands of uint8"),
        ("floats", "6 bands of float32"),
    ],
)
def test_other_bands_or_another_depth_are_refused_before_anything_is_packed(change, said, tmp_path):
    trial, _ = trained_on(config_of(), tmp_path)
    before = list((tmp_path / "cache" / "packs").iterdir())
    with pytest.raises(BenchError, match=f"trained on .* 6 bands of uint16.* here .*{said}"):
        read_as_trained(trial, config_of(change))
    assert list((tmp_path / "cache" / "packs").iterdir()) == before


def test_members_of_an_ensemble_must_have_one_scale(tmp_path):
    trials = [trained_on(config_of(**params), tmp_path)[0] for params in ({}, {"scale_values": "range"})]
    with pytest.raises(
        BenchError, match=r"same bands and range of values: '.*' has 6 bands of .*, '.*' has 6 bands of "
    ):
        check_alike(trials)


def reader_of(**values):
    return PictureReader(Values(**values))


def test_a_file_is_read_with_the_bands_and_the_scale_of_training(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "image.png")
    reader = reader_of(bands=2, rule="given", low=(0.0, 10.0), high=(255.0, 200.0), chosen=(2, 0))
    picture = reader.read(tmp_path / "image.png")
    np.testing.assert_array_equal(picture.array(), image[..., [2, 0]])
    assert picture.values.high == (255.0, 200.0)
    shown = reader.visible(tmp_path / "image.png")
    np.testing.assert_array_equal(shown, np.repeat(image[..., 2:], 3, axis=-1))  # two bands: the first one, in grey


def test_a_file_of_other_bands_or_depth_is_named_with_what_is_wanted(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "image.png")
    for values in (
        {"bands": 6, "kind": "uint16"},
        {"bands": 3, "kind": "float32", "low": (0.0,) * 3, "high": (1.0,) * 3},
    ):
        with pytest.raises(DataFault, match=r"image\.png: the image has 3 bands of uint8.*trained on"):
            reader_of(**values).read(tmp_path / "image.png")


def test_a_band_that_a_file_lacks_is_named(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "image.png")
    with pytest.raises(DataFault, match="no band 5"):
        reader_of(bands=1, chosen=(4,)).read(tmp_path / "image.png")


def test_pixels_without_a_value_are_shown_as_the_least_one(tmp_path, monkeypatch):
    image = np.ones((2, 2, 1), np.float32)
    image[0, 0] = np.nan
    monkeypatch.setattr(picture_reader, "read_picture", lambda path, reduce, bands: Picture.of(image))
    reader = reader_of(bands=1, kind="float32", rule="given", low=(-1.0,), high=(1.0,))
    assert reader.visible(tmp_path).tolist() == [[[0] * 3, [255] * 3], [[255] * 3] * 2]


@pytest.mark.parametrize(("change", "bands"), [("same", 6), ("four", 4), ("floats", 6)])
def test_what_is_built_without_data_has_their_bands(change, bands):
    assert with_bands_of_data(config_of(change)).bands == bands


def test_chosen_bands_and_data_that_are_not_here_are_not_looked_at():
    chosen, absent = config_of(bands="5,2"), TrialConfig("unet", "pets")
    assert with_bands_of_data(chosen) is chosen and with_bands_of_data(absent) is absent


def test_data_that_cannot_be_opened_are_left_to_the_run_to_report(tmp_path):
    config = TrialConfig("unet", f"folder:{tmp_path / 'absent'}")
    assert with_bands_of_data(config) is config


@pytest.mark.parametrize(
    ("params", "bytes_of_pixel"),
    [({}, 12), ({"bands": "1,2"}, 4), ({"change": "bytes"}, 6), ({"change": "floats"}, 12)],
)
def test_the_room_of_a_pack_is_told_by_the_bands_and_the_depth(params, bytes_of_pixel):
    values = stored_values(config_of(**params))
    assert values.bytes_of_pixel == bytes_of_pixel


def test_bytes_that_are_scaled_take_twice_the_room():
    assert stored_values(config_of("bytes", scale_values="0:99")).bytes_of_pixel == 12
