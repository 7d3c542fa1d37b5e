"""The scores of predictions on the test split."""

from bench.evaluation import scores
from bench.results.analysis.resampling import accuracy, image_scores, macro, mean_of_column, of_images, of_split
from bench.results.quantities.quantity import (
    CURVES,
    LEADERBOARD,
    LOWER,
    VERIFICATION,
    Bound,
    Metric,
    Quantity,
    Tolerance,
    decimals,
)

_score = decimals(3)

MEAN_IOU = Metric(
    name="mean_iou",
    heading="mean IoU",
    meaning="Intersection over union TP / (TP + FP + FN) of each class from one count of pixels over the whole test "
    "split, mean over the classes.",
    write=_score,
    where=frozenset({LEADERBOARD, VERIFICATION}),
    with_sd=True,
    brief=True,
    bound=Bound("min_mean_iou", ""),
    tolerance=Tolerance(0.01),
    score=of_split(macro(scores.iou)),
)
QUALITY: tuple[Quantity, ...] = (
    MEAN_IOU,
    Quantity(
        name="foreground_iou",
        heading="foreground IoU",
        meaning="Intersection over union of class 1 of a binary data set.",
        write=_score,
        where=frozenset({LEADERBOARD}),
        with_sd=True,
        optional=True,
    ),
    Metric(
        name="airbus_f2",
        heading="Airbus F2",
        meaning="Of objects: 5 TP / (5 TP + 4 FN + FP) in each image, mean over thresholds of IoU from 0.50 to 0.95, "
        "mean over the images.",
        write=_score,
        where=frozenset({LEADERBOARD, CURVES, VERIFICATION}),
        with_sd=True,
        optional=True,
        brief=True,
        score=mean_of_column("airbus_f2"),
    ),
    Metric(
        name="carvana_dice",
        heading="Carvana dice",
        meaning="Dice of class 1 in each image, 1 where neither labels nor prediction have it, mean over the images.",
        write=decimals(4),
        where=frozenset({LEADERBOARD, CURVES, VERIFICATION}),
        with_sd=True,
        optional=True,
        brief=True,
        score=mean_of_column("carvana_dice"),
    ),
    Metric(
        name="hausdorff95",
        heading="Hausdorff 95 %",
        unit="px",
        meaning="95th percentile of the distances between the boundaries of labels and prediction, in both "
        "directions, mean over the images.",
        better=LOWER,
        where=frozenset({LEADERBOARD}),
        optional=True,
        score=mean_of_column("hausdorff95"),
    ),
    Quantity(
        name="boundary_iou",
        heading="boundary IoU",
        meaning="IoU of the pixels within 2 % of the image's diagonal of their own region's boundary, counted and "
        "averaged like mean IoU; with two classes, of class 1.",
        write=_score,
        where=frozenset({LEADERBOARD}),
        optional=True,
    ),
    Metric(
        name="mean_iou_per_image",
        heading="mean IoU per image",
        meaning="Mean over the images of each image's own mean IoU, over the classes in its labels or predictions.",
        write=_score,
        with_sd=True,
        score=of_images(image_scores),
    ),
    Metric(
        name="dice",
        heading="dice",
        meaning="2 TP / (2 TP + FP + FN), counted and averaged like mean IoU.",
        write=_score,
        where=frozenset({LEADERBOARD}),
        score=of_split(macro(scores.dice)),
    ),
    Metric(
        name="f2",
        heading="F2",
        meaning="5 TP / (5 TP + 4 FN + FP), counted and averaged like mean IoU.",
        write=_score,
        where=frozenset({LEADERBOARD}),
        score=of_split(macro(scores.f2)),
    ),
    Metric(
        name="pixel_accuracy",
        heading="pixel accuracy",
        meaning="Share of the test split's pixels that are right.",
        write=_score,
        where=frozenset({LEADERBOARD}),
        score=of_split(accuracy),
    ),
)
