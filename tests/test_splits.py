"""The validation split and the training subsets: stable, by group, nested."""

import pytest

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.data.splits import cut_validation, train_subset

TRAIN = [Sample(f"car{i // 4}_{i % 4}", "train", f"car{i // 4}") for i in range(800)]
TEST = [Sample(f"test_{i}", "test", f"test_{i}") for i in range(10)]
NAMES = [f"image_{i}" for i in range(100)]


def validation(samples):
    return {sample.name for sample in cut_validation(samples) if sample.split == "val"}


def test_about_a_tenth_of_the_groups_validates_and_no_group_is_cut_apart():
    cut = cut_validation([*TRAIN, *TEST])
    groups = {split: {s.group for s in cut if s.split == split} for split in ("train", "val", "test")}
    assert 10 <= len(groups["val"]) <= 30  # of 200; binomial: 20 +- 4.2
    assert not groups["train"] & groups["val"]
    assert groups["test"] == {s.group for s in TEST}
    assert [s.name for s in cut] == [s.name for s in [*TRAIN, *TEST]]


def test_absent_files_move_no_other_image():
    present = [s for i, s in enumerate(TRAIN) if i % 7]
    assert validation(present) == validation(TRAIN) & {s.name for s in present}


def test_the_cut_is_the_same_in_every_version():
    # Another cut would make old results incomparable.
    assert sorted({s.group for s in cut_validation(TRAIN[:80]) if s.split == "val"}) == ["car12"]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_small_set_keeps_images_on_both_sides(count):
    samples = [Sample(f"a{i}", "train", f"a{i}") for i in range(count)]
    assert 1 <= len(validation(samples)) < count


def test_a_data_set_with_a_validation_split_of_its_own_keeps_it():
    samples = [*TRAIN, Sample("mine", "val", "mine")]
    assert validation(samples) == {"mine"}


def test_subsets_have_the_share_and_are_nested():
    quarter, half, whole = (set(train_subset(NAMES, share).tolist()) for share in (0.25, 0.5, 1.0))
    assert (len(quarter), len(half), len(whole)) == (25, 50, 100)
    assert quarter < half < whole


def test_a_subset_depends_on_names_not_on_their_order():
    chosen = {NAMES[i] for i in train_subset(NAMES, 0.3)}
    turned = NAMES[::-1]
    assert {turned[i] for i in train_subset(turned, 0.3)} == chosen


def test_numbers_of_images_are_nested_in_each_other_and_in_shares():
    few, many = train_subset(NAMES, 1.0, 3), train_subset(NAMES, 1.0, 7)
    assert len(few) == 3 and len(many) == 7 and set(few) < set(many)
    assert (
        train_subset(NAMES, 1.0, len(NAMES) // 2).tolist() == train_subset(NAMES, len(NAMES) // 2 / len(NAMES)).tolist()
    )
    with pytest.raises(
        BenchError, match=rf"--train-images is {len(NAMES) + 1:,}, .* Accepted: 1 to {len(NAMES):,}, or all"
    ):
        train_subset(NAMES, 1.0, len(NAMES) + 1)


def test_a_tiny_subset_has_one_image():
    assert len(train_subset(NAMES, 1e-6)) == 1


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan")])
def test_a_fraction_outside_is_an_error(fraction):
    with pytest.raises(BenchError, match=r"above 0 and at most 1"):
        train_subset(NAMES, fraction)
