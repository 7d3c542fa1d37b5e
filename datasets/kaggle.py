"""The Kaggle competitions that data sets come from: their files, sizes, submission formats and manual download."""

from bench.core.specs import KaggleSource, SubmissionFormat

CARVANA = KaggleSource(
    competition="carvana-image-masking-challenge",
    files=("train.zip", "train_masks.zip"),
    size=434_000_000,
    by_hand="Get train.zip and train_masks.zip (or train_masks.csv.zip) from "
    "https://www.kaggle.com/c/carvana-image-masking-challenge/data, unpack them into one folder and give it with "
    "--data-dir; or run `bench prepare carvana`, which downloads them with kagglehub and your Kaggle credentials.",
    submission=SubmissionFormat(("img", "rle_mask"), "row"),
)
AIRBUS = KaggleSource(
    competition="airbus-ship-detection",
    files=(),  # the whole competition: its tiles are not in a separate archive
    size=31_410_000_000,
    by_hand="Get train_v2 and train_ship_segmentations_v2.csv from "
    "https://www.kaggle.com/c/airbus-ship-detection/data, put them into one folder and give it with --data-dir; "
    "or run `bench prepare airbus`, which downloads them with kagglehub and your Kaggle credentials.",
    submission=SubmissionFormat(("ImageId", "EncodedPixels"), "column", by_object=True),
)
