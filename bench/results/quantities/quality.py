"""The scores of predictions on the test split."""

from bench.evaluation import scores
from bench.results.analysis.intervals.scales import Scale
from bench.results.analysis.resampling import image_scores, mean_of_column, of_images, of_split
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
    part="metrics",
    heading="mean IoU",
    meaning="Intersection over union, TP / (TP + FP + FN), of each class, from one count of pixels over the whole test "
    "split; mean over the classes.",
    write=_score,
    where=(LEADERBOARD, VERIFICATION),
    with_sd=True,
    brief=True,
    bound=Bound("min_mean_iou", ""),
    tolerance=Tolerance(0.01),
    score=of_split(scores.macro(scores.iou)),
)
QUALITY: tuple[Quantity, ...] = (
    MEAN_IOU,
    Quantity(
        name="foreground_iou",
        part="metrics",
        heading="foreground IoU",
        meaning="Intersection over union of class 1 of a binary data set.",
        write=_score,
        where=(LEADERBOARD,),
        with_sd=True,
        optional=True,
    ),
    Metric(
        name="airbus_f2",
        part="metrics",
        heading="Airbus F2",
        meaning="5 TP / (5 TP + 4 FN + FP) over the objects of each image; mean over IoU thresholds from 0.50 to 0.95, "
        "then over the images.",
        more="A predicted object is a hit at a threshold if its IoU with a true object is greater. An image without "
        "objects in truth and prediction scores 1. Predicted objects are the 8-connected components of class 1; true "
        "objects come from the data set.",
        write=_score,
        where=(LEADERBOARD, CURVES, VERIFICATION),
        with_sd=True,
        optional=True,
        brief=True,
        score=mean_of_column("airbus_f2"),
    ),
    Metric(
        name="carvana_dice",
        part="metrics",
        heading="Carvana dice",
        meaning="Dice of class 1 in each image (1 if neither labels nor prediction have it), mean over the images.",
        write=decimals(4),
        where=(LEADERBOARD, CURVES, VERIFICATION),
        with_sd=True,
        optional=True,
        brief=True,
        score=mean_of_column("carvana_dice"),
    ),
    Metric(
        name="hausdorff95",
        part="metrics",
        heading="Hausdorff 95 %",
        unit="px",
        meaning="95th percentile of the distances between the boundaries of labels and prediction, in both "
        "directions, mean over the images.",
        more="Distances are in pixels of the evaluation size, and the greater of the two directions counts "
        "(Huttenlocher 1993; the same as in MONAI, DeepMind's surface-distance and Metrics Reloaded). An image's value "
        "is the mean over the classes in its labels or prediction, without the background. If only one of the two has "
        "a class, the image's diagonal is its distance. Images without such a class are left out.",
        better=LOWER,
        where=(LEADERBOARD,),
        detail=True,
        optional=True,
        score=mean_of_column("hausdorff95", Scale.PLAIN),
    ),
    Quantity(
        name="boundary_iou",
        part="metrics",
        heading="boundary IoU",
        meaning="IoU of the pixels that are at most 2 % of the image's diagonal away from the boundary of their own "
        "region, counted and averaged like mean IoU; with two classes, that of class 1.",
        more="Cheng 2021, arXiv:2103.16562.",
        write=_score,
        where=(LEADERBOARD,),
        detail=True,
        optional=True,
    ),
    Metric(
        name="mean_iou_per_image",
        part="metrics",
        heading="mean IoU per image",
        meaning="Mean over the images of each image's mean IoU over the classes in its labels or prediction.",
        write=_score,
        with_sd=True,
        score=of_images(image_scores),
    ),
    Metric(
        name="dice",
        part="metrics",
        heading="dice",
        meaning="2 TP / (2 TP + FP + FN), counted and averaged like mean IoU.",
        write=_score,
        where=(LEADERBOARD,),
        score=of_split(scores.macro(scores.dice)),
    ),
    Metric(
        name="f2",
        part="metrics",
        heading="F2",
        meaning="5 TP / (5 TP + 4 FN + FP), counted and averaged like mean IoU.",
        more="A miss weighs more than a false alarm.",
        write=_score,
        where=(LEADERBOARD,),
        detail=True,
        score=of_split(scores.macro(scores.f2)),
    ),
    Metric(
        name="pixel_accuracy",
        part="metrics",
        heading="pixel accuracy",
        meaning="Share of the test split's pixels that are classified correctly.",
        write=_score,
        where=(LEADERBOARD,),
        detail=True,
        score=of_split(scores.accuracy),
    ),
)
