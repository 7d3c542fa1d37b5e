"""Find which features of a library's data set are the image and the mask, from their types and names."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.core.errors import BenchError

_MASK = re.compile(
    r"(^|[^a-z])(seg(mentations?|mented)?|semantic|masks?|labels?|lbl|annotations?|annotated|trimaps?|gt|"
    r"ground_?truth|targets?)([^a-z]|$)",
    re.IGNORECASE,
)
_IMAGES = ("image", "img", "picture", "photo", "rgb", "pixel_values", "input")  # the plainest name is taken first


@dataclass(frozen=True)
class Feature:
    """A feature of a data set, as its library describes it."""

    kind: Literal["image", "labels", "array", "name", "other"]  # "labels": an image of class labels
    text: str  # its type, for messages
    classes: Mapping[str, list[int]] | None = None  # name -> values, of a mask whose classes are named


def image_and_mask(features: Mapping[str, Feature], image: str, mask: str, title: str) -> tuple[str, str]:
    """Return the names of the features with the image and the mask.

    Args:
        image: the user's choice; empty: the only picture that isn't named like a mask, or that is called `image`.
        mask: likewise; empty: the only feature of the type of labels, or the only one that is named like a mask.
        title: the data set, for messages.

    Raises:
        BenchError: a choice isn't there, or more than one feature or none can be it; the message lists them all.
    """
    for key, wanted in (("image", image), ("mask", mask)):
        if wanted and wanted not in features:
            raise _unclear(features, f"{title} has no feature '{wanted}'", key)
    pictures = [name for name, feature in features.items() if feature.kind in ("image", "labels", "array")]
    mask = mask or _only(
        (lambda name: features[name].kind == "labels", lambda name: bool(_MASK.search(name))),
        [name for name in pictures if name != image],
    )
    if not mask:
        raise _unclear(features, f"{title} has no feature that is clearly the mask", "mask")
    image = image or _only(
        (
            lambda name: features[name].kind == "image" and not _MASK.search(name),
            *(lambda name, plain=plain: name.lower() == plain for plain in _IMAGES),
        ),
        [name for name in pictures if name != mask],
    )
    if not image:
        raise _unclear(features, f"{title} has no feature that is clearly the image", "image")
    return image, mask


def _only(rules: Sequence[Callable[[str], bool]], names: Sequence[str]) -> str:
    """Return the name that is the only one to fit a rule, of the first rule for which there is one; else nothing."""
    for rule in rules:
        fitting = [name for name in names if rule(name)]
        if len(fitting) == 1:
            return fitting[0]
    return ""


def _unclear(features: Mapping[str, Feature], what: str, key: str) -> BenchError:
    listed = ", ".join(f"{name} ({feature.text})" for name, feature in features.items())
    return BenchError(f"{what}. Say which it is with --dataset-param {key}=NAME. It has: {listed}.")
