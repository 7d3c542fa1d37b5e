"""Corruptions of images of any bands and depth are those of 8-bit RGB by band; what is not defined is left out."""

from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_config, fake_record

from bench.data.reading.values import Values
from bench.evaluation.corruptions import pixel_changes
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, Condition, conditions
from bench.results.loading import StoredTrial
from bench.trials.saved.robustness_plan import defined_for

DEFINED = [kind for kind in CORRUPTIONS if not CORRUPTIONS[kind].of_rgb]
BY_BAND = [kind for kind in DEFINED if kind not in ("noise", "brightness")]  # noise is drawn for all bands together


def corrupted(image, kind, severity=3):
    entry, amount = CORRUPTIONS[kind], Condition(kind, severity).amount
    if entry.moves:
        return entry.function(amount, np.random.default_rng(0)).image(image, image.shape[:2])
    return entry.function(image, amount, np.random.default_rng(0), 0.5)


def picture(bands, dtype=np.uint8, seed=0):
    coarse = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (5, 6, bands))
    return np.kron(coarse, np.ones((6, 6, 1))).astype(dtype)


@pytest.mark.parametrize("kind", DEFINED)
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 6, 32])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_type_and_bands_stay_and_values_change(kind, bands, dtype):
    image = picture(bands, dtype)
    found = corrupted(image, kind)
    assert found.dtype == image.dtype and found.shape == image.shape and not np.array_equal(found, image)


@pytest.mark.parametrize("kind", DEFINED)
@pytest.mark.parametrize("bands", [1, 3, 6])
def test_sixteen_bits_are_corrupted_as_the_same_values_in_eight(kind, bands):
    image = picture(bands)
    deep = corrupted(image.astype(np.uint16) * 257, kind)  # 65535 = 257 * 255
    np.testing.assert_allclose(deep / 257, corrupted(image, kind), atol=1.01)


@pytest.mark.parametrize("kind", BY_BAND)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_band_is_corrupted_as_it_is_among_three(kind, dtype):
    image = picture(5, dtype)
    np.testing.assert_array_equal(corrupted(image, kind)[..., :3], corrupted(image[..., :3].copy(), kind))


def test_brightness_of_any_bands_is_that_of_hsv():
    image = picture(3)
    image[0, 0] = 0  # black becomes grey
    four = pixel_changes.brightness(np.dstack([image, image[..., :1] * 0]), 0.3, np.random.default_rng(0), 1)
    rgb = pixel_changes.brightness(image, 0.3, np.random.default_rng(0), 1)
    np.testing.assert_allclose(four[..., :3].astype(int), rgb, atol=1)


@pytest.mark.parametrize(
    ("values", "defined"),
    [
        (Values(), True),
        (Values(chosen=(2, 1, 0)), True),
        (Values(bands=1), False),
        (Values(kind="uint16"), False),
        (Values(rule="given", low=(0.0,) * 3, high=(9.0,) * 3), False),  # of bytes, but packed in 16 bits
    ],
)
def test_jpeg_is_defined_for_8_bit_rgb_alone(values, defined, tmp_path):
    record = fake_record(fake_config("unet", None, 0))[0]
    trial = StoredTrial(replace(record, dataset=record.dataset | {"values": values.to_dict()}), tmp_path)
    kinds = {one.kind for one in defined_for(trial, conditions())}
    assert kinds == ({"clean", *CORRUPTIONS} if defined else {"clean", *DEFINED})
