"""Run-length text: by hand, round trips, the fast code against a naive one, and the errors of a broken text."""

import csv
import time

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from bench.api import BenchError, rle_decode, rle_encode

SHIP_MASKS_A_SECOND = 10_000
MASKS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2))
ORDERS = pytest.mark.parametrize("order", ["column", "row"])


def naive_encode(mask: np.ndarray, order: str) -> str:
    flat = mask.ravel(order="F" if order == "column" else "C").tolist()
    runs, start = [], None
    for place, value in enumerate([*flat, 0], 1):
        if value and start is None:
            start = place
        elif not value and start is not None:
            runs += [start, place - start]
            start = None
    return " ".join(map(str, runs))


def test_runs_by_hand():
    # 0 1 1     down the columns: 0 0 | 1 1 | 1 0 -> pixels 3 to 5
    # 0 1 0     along the rows: 0 1 1 | 0 1 0 -> pixels 2 and 3, and 5
    mask = np.array([[0, 1, 1], [0, 1, 0]])
    assert rle_encode(mask) == "3 3"
    assert rle_encode(mask, order="row") == "2 2 5 1"
    np.testing.assert_array_equal(rle_decode("3 3", (2, 3)), mask)
    np.testing.assert_array_equal(rle_decode("2 2 5 1", (2, 3), order="row"), mask)
    assert rle_decode("3 3", (2, 3)).dtype == np.uint8


@ORDERS
def test_nothing_and_everything(order):
    assert rle_encode(np.zeros((3, 4)), order) == ""
    assert not rle_decode("", (3, 4), order).any()
    assert rle_encode(np.ones((3, 4), bool), order) == "1 12"
    assert rle_decode("1 12", (3, 4), order).all()


@ORDERS
@given(mask=MASKS)
def test_a_round_trip_gives_the_mask_back(order, mask):
    text = rle_encode(mask, order)
    assert text == naive_encode(mask, order)
    np.testing.assert_array_equal(rle_decode(text, mask.shape, order), mask != 0)


@given(mask=MASKS)
def test_the_orders_are_each_others_transposed(mask):
    assert rle_encode(mask, "column") == rle_encode(mask.T, "row")
    assert rle_encode(mask.astype(bool)) == rle_encode(mask.astype(np.float32)) == rle_encode(mask)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 3", "odd count"),
        ("0 2", "run 1, '0 2', starts at 0"),
        ("1 2 11 3", "run 2, '11 3', ends past the last pixel, 12"),
        ("1 3 3 2", "run 2, '3 2', begins before the previous run has ended"),
        ("5 2 1 2", "run 2, '1 2', begins before"),
        ("1 0", "run 1, '1 0', is empty"),
        ("1 2 x 4", "'x' is not a whole number"),
        ("1 2.5", "'2.5' is not a whole number"),
        ("1 -2", "'-2' is not a whole number"),
        ("1 ٣", "is not a whole number"),
        ("nan", "'nan' is not a whole number"),
        (float("nan"), "nan is not a text"),
        (None, "None is not a text"),
        ("1 99999999999999999999", "ends past the last pixel"),
        ("9223372036854775807 9223372036854775807", "ends past the last pixel"),
    ],
)
@ORDERS
def test_a_broken_text_names_image_and_row(order, text, says):
    with pytest.raises(BenchError) as error:
        rle_decode(text, (3, 4), order, place="masks.csv, row 7, ship.jpg")
    assert "masks.csv, row 7, ship.jpg" in str(error.value)
    assert says in str(error.value)


@settings(max_examples=300)
@given(text=st.text(alphabet="0123456789 -.x\n", max_size=12))
def test_any_text_is_a_mask_or_a_bench_error(text):
    try:
        mask = rle_decode(text, (3, 4))
    except BenchError:
        return
    numbers = list(map(int, text.split()))
    assert mask.sum() == sum(numbers[1::2])


def test_what_is_no_mask_or_no_order_is_said():
    with pytest.raises(BenchError, match=r"\(H, W\), not \(2, 2, 2\)"):
        rle_encode(np.zeros((2, 2, 2)))
    with pytest.raises(BenchError, match=r"'rows'\. Accepted: column, row"):
        rle_encode(np.zeros((2, 2)), "rows")
    with pytest.raises(BenchError, match=r"'F'\. Accepted: column, row"):
        rle_decode("1 1", (2, 2), "F")


@ORDERS
def test_ten_thousand_ship_masks_a_second(order):
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(20):  # the median ship is 24 x 40 pixels or so
        mask = np.zeros((768, 768), np.uint8)
        y, x = rng.integers(0, 700, 2)
        mask[y : y + 24, x : x + 40] = 1
        masks.append(mask)
    texts = [rle_encode(mask, order) for mask in masks]
    decoding = min(_seconds(lambda: [rle_decode(t, (768, 768), order) for t in texts]) for _ in range(50)) / 20
    encoding = min(_seconds(lambda: [rle_encode(m, order) for m in masks]) for _ in range(50)) / 20
    assert 1 / decoding > SHIP_MASKS_A_SECOND
    assert 1 / encoding > SHIP_MASKS_A_SECOND / 2  # finding a ship in 590,000 pixels; twice that on a quiet machine


def _seconds(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@needs("airbus")
def test_the_airbus_texts_are_read_and_written_exactly():
    with (EXCERPTS / "airbus" / "train_ship_segmentations_v2.csv").open(newline="") as file:
        texts = [row["EncodedPixels"] for row in csv.DictReader(file)]
    assert sum(map(bool, texts)) > 300
    for text in texts:
        assert rle_encode(rle_decode(text, (768, 768))) == text


@needs("carvana")
def test_the_carvana_texts_are_the_gifs():
    with (EXCERPTS / "carvana" / "train_masks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 96
    for row in rows[::6]:
        path = EXCERPTS / "carvana" / "train_masks" / row["img"].replace(".jpg", "_mask.gif")
        with Image.open(path) as picture:
            mask = np.asarray(picture)
        assert rle_encode(mask, order="row") == row["rle_mask"]
        np.testing.assert_array_equal(rle_decode(row["rle_mask"], mask.shape, order="row"), mask)
