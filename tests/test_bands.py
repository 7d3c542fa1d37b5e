"""Images of any bands and depth: how they are chosen and scaled, and that a pack keeps them."""

from dataclasses import replace

import numpy as np
import pytest

from bench.commands.shared import with_short_params
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.data.geometry import resize_image, resize_picture
from bench.data.loading.open_images import open_images
from bench.data.reading.picture import Picture
from bench.data.reading.values import Values, parse_bands, parse_scale
from bench.trials.identity import trial_key

SPEC = "bands"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))


def made(**params):
    return pack.prepare(catalog.datasets().get(SPEC), (16, 24), params=params)


def test_a_pack_has_all_bands_in_16_bits_and_spreads_them_over_the_range():
    found = made()
    assert found.images.shape == (300, 16, 24, 6) and found.images.dtype == np.uint16
    assert found.images.min() == 0 and found.images.max() == 65535
    assert found.values.rule == "percentiles" and any("6 bands of uint16" in note for note in found.notes)


def test_chosen_bands_are_those_of_all_bands_in_the_given_order():
    whole, chosen = made(scale_values="0:4095"), made(scale_values="0:4095", bands="5,1")
    assert chosen.images.shape[-1] == 2
    np.testing.assert_array_equal(chosen.images, whole.images[..., [4, 0]])


def test_the_range_of_16_bits_changes_no_value():
    source = catalog.datasets().get(SPEC)
    found = pack.prepare(source, (96, 96), params={"scale_values": "range"})
    from bench.data.source import open_source

    opened = open_source(source)
    image, labels = opened.dataset.read(opened.samples[0])
    np.testing.assert_array_equal(found.images[0], image)
    np.testing.assert_array_equal(found.labels[0], labels)


def test_without_a_pack_the_same_values_are_read():
    stored = made(bands="5,2")
    streamed = open_images(catalog.datasets().get(SPEC), (16, 24), kept="none", params={"bands": "5,2"})
    np.testing.assert_array_equal(streamed.pictures(np.arange(3)), stored.images[:3])
    assert streamed.fingerprint == stored.fingerprint


@pytest.mark.parametrize("params", [{"bands": "1,2,3"}, {"scale_values": "0:4095"}])
def test_bands_and_scale_are_in_the_key_though_the_fingerprint_is_the_same(params):
    plain = catalog.resolve_config(TrialConfig(arch="unet", dataset=SPEC))
    other = catalog.resolve_config(replace(plain, dataset_params=params))
    assert trial_key(plain, "f") != trial_key(other, "f")


@pytest.mark.parametrize("text", ["0", "a", "1,1", "1,,2", ",".join(map(str, range(1, 40))), "-1", "1.5"])
def test_what_names_no_band_is_refused_with_what_is_accepted(text):
    with pytest.raises(BenchError, match="Accepted"):
        parse_bands(text)


@pytest.mark.parametrize("text", ["best", "1", "2:1", "0:nan", "0:1:2", "0:0"])
def test_what_is_no_rule_is_refused_with_what_is_accepted(text):
    with pytest.raises(BenchError, match="Accepted"):
        parse_scale(text)


def test_a_band_that_is_not_there_is_refused_with_the_number_of_bands():
    with pytest.raises(BenchError, match="6 bands, so there is no band 7"):
        made(bands="7")


def test_a_band_is_resized_as_it_would_be_in_an_rgb_image():
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    five = np.dstack([image, image[..., :2]])
    expected, found = resize_image(image, (16, 20)), resize_picture(Picture.of(five), (16, 20))
    np.testing.assert_array_equal(found, np.dstack([expected, expected[..., :2]]))


def test_values_are_scaled_band_by_band_and_clipped():
    values = Values(2, "float32", "given", (0.0, -1.0), (1.0, 1.0))
    image = np.array([[[0.5, 0.0], [2.0, -3.0]]], np.float32)
    np.testing.assert_array_equal(values.packed(image), [[[32768, 32768], [65535, 0]]])  # 0.5 * 65535 = 32767.5


def test_not_a_number_is_marked_as_missing_and_becomes_0():
    image = np.ones((2, 3, 2), np.float32)
    image[0, 1, 1] = np.nan
    picture = replace(Picture.of(image), values=Values(2, "float32", "given", (0.0, 0.0), (2.0, 2.0)))
    assert picture.missing is not None and picture.missing.sum() == 1 and picture.missing[0, 1]
    assert resize_picture(picture, (2, 3))[0, 1].tolist() == [0, 0]


def test_a_description_of_values_survives_json_and_damage_is_one_line():
    values = Values(2, "uint16", "percentiles", (1.0, 2.0), (3.0, 4.0), (4, 0))
    assert Values.from_dict(values.to_dict()) == values
    for damaged in ({"bands": 0}, {"no": 1}, [1], "x", {"bands": "3"}):
        with pytest.raises(BenchError, match="can't be read"):
            Values.from_dict(damaged)


@pytest.mark.parametrize("name", ["group_by", "bands", "scale_values"])
def test_an_option_and_what_it_is_short_for_are_not_both_taken(name):
    short = {"group_by": None, "bands": None, "scale_values": None, name: "2"}
    with pytest.raises(BenchError, match=f"--{name.replace('_', '-')} is short for --dataset-param {name}=, and both"):
        with_short_params(["balance=3", f"{name}=1"], **short)
    assert with_short_params(["balance=3"], **short) == ["balance=3", f'{name}="2"']
