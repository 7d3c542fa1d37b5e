"""The image sizes that an architecture takes, checked without keras, so that the parent process can check a whole grid.

The specs name the functions `..._divisor(spec, backbone, given)`. Each returns the number of which height and width
must be multiples, for the given parameters, and raises BenchError for parameters that can't go together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.architectures import VISION_TRANSFORMERS
from bench.architectures.outside import SEGFORMER_HEADS
from bench.core.errors import BenchError
from bench.core.specs import ArchitectureSpec
from bench.core.trial_config import LARGEST_SIDE

MOST_LEVELS = LARGEST_SIDE.bit_length() - 1  # the largest image has one pixel then
PATCHES = {spec.name: spec.strides[0] for spec in VISION_TRANSFORMERS}  # pixels a side


def check_image_size(
    spec: ArchitectureSpec,
    image_size: tuple[int, int],
    backbone: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Raise BenchError naming the next size that fits, if the architecture can't take `image_size`.

    Args:
        spec: the architecture; height and width must be multiples of its `divisor`, equal if it is `square`, and at
            least `smallest_side`.
        image_size: height and width in pixels.
        backbone: the backbone's name; None is the architecture's default.
        params: parameters of the builder.
    """
    divisor = spec.divisor(backbone or spec.default_backbone, params)
    if divisor > LARGEST_SIDE:
        raise BenchError(
            f"{spec.name} with these parameters halves its images more than {MOST_LEVELS} times, and the largest have "
            f"{LARGEST_SIDE} pixels a side. Give fewer levels."
        )
    fits = tuple(-(-max(side, spec.smallest_side) // divisor) * divisor for side in image_size)
    if spec.square:
        fits = (max(fits), max(fits))
    if tuple(image_size) == fits:
        return
    pair = f"{spec.name}:{backbone}" if backbone else spec.name
    raise BenchError(
        f"{pair} can't take images of {image_size[0]}x{image_size[1]} pixels: height and width must be "
        f"{'equal ' if spec.square else ''}multiples of {divisor}. The next size that fits is {fits[0]}x{fits[1]}."
    )


def unet_divisor(spec: ArchitectureSpec, backbone: str | None, given: Mapping[str, Any]) -> int:
    """Return U-Net's divisor: each level below the first halves the image, and a backbone ends at stride 32."""
    foreign = ("filters", "depth", "convs_per_block") if backbone else ("decoder_filters",)
    if strange := [name for name in foreign if name in given]:
        raise BenchError(
            f"{spec.name} {'with' if backbone else 'without'} a backbone has no parameter '{strange[0]}'. "
            f"Leave it out, or {'give no backbone' if backbone else 'give a backbone'}."
        )
    if backbone:
        return 32
    return 2 ** (len(unet_levels(given.get("filters", spec.defaults["filters"]), given.get("depth"))) - 1)


def unet_levels(filters: Sequence[int], depth: int | None = None) -> list[int]:
    """Return the channels of each level of a U-Net without backbone, finest first; raise BenchError if impossible.

    `depth` is the number of levels below the first: it cuts `filters`, or continues by doubling the last.
    """
    levels = list(filters)
    depth = len(levels) - 1 if depth is None else depth
    if depth < 1 or not levels or not all(isinstance(width, int) and width > 0 for width in levels):
        raise BenchError(
            f"A U-Net can't have the filters {levels} with depth {depth}. "
            "It needs whole numbers above 0 and a depth of 1 or more, such as filters=[16,32,64]."
        )
    if depth > MOST_LEVELS:
        raise BenchError(f"A U-Net can't have a depth of {depth:,}. Accepted: 1 to {MOST_LEVELS}.")
    levels += [levels[-1] * 2**step for step in range(1, depth + 2 - len(levels))]
    return levels[: depth + 1]


def segnet_divisor(spec: ArchitectureSpec, backbone: str | None, given: Mapping[str, Any]) -> int:
    """Return SegNet's divisor: each stage halves the image; a backbone ends at stride 32, as the decoder does."""
    if backbone and (strange := [name for name in ("filters", "convs") if name in given]):
        raise BenchError(f"segnet with a backbone has no parameter '{strange[0]}'. Leave it out, or give no backbone.")
    params = {**spec.defaults, **given}
    return 2 ** len(segnet_levels(params["filters"], params["convs"]))


def segnet_levels(filters: Sequence[int], convs: Sequence[int]) -> list[tuple[int, int]]:
    """Return the channels and convolutions of SegNet's stages, finest first; raise BenchError if impossible."""
    filters, convs = list(filters), list(convs)
    if not filters or len(filters) != len(convs) or not all(isinstance(n, int) and n > 0 for n in filters + convs):
        raise BenchError(
            f"segnet can't have the filters {filters} with the convs {convs}. "
            "It needs as many of each, whole numbers above 0, such as filters=[16,32] and convs=[2,2]."
        )
    return list(zip(filters, convs, strict=True))


def fcn_divisor(_spec: ArchitectureSpec, backbone: str | None, given: Mapping[str, Any]) -> int:
    """Return 32, the stride of the deepest features; only VGG16 has fully connected layers and so `fc_filters`."""
    if backbone not in (None, "vgg16") and "fc_filters" in given:
        raise BenchError(
            f"fcn with {backbone} has no parameter 'fc_filters'. Leave it out, or take the backbone vgg16."
        )
    return 32


def patch_divisor(spec: ArchitectureSpec, backbone: str | None, _given: Mapping[str, Any]) -> int:
    """Return the side of the vision transformer's patches."""
    return PATCHES[backbone or str(spec.default_backbone)]


def outside_divisor(_spec: ArchitectureSpec, _backbone: str | None, given: Mapping[str, Any]) -> int:
    """Return 32, the stride of the deepest features; check that each of the four stages has its whole number."""
    for name in [name for name in ("filters", "blocks", "hidden_dims", "depths") if name in given]:
        values = list(given[name])
        if len(values) != 4 or not all(isinstance(value, int) and value > 0 for value in values):
            raise BenchError(f"'{name}' can't be {values}. It needs four whole numbers above 0, such as [1,1,1,1].")
    if "filters" in given and given["filters"][0] != 64:
        raise BenchError(f"'filters' can't be {list(given['filters'])}: the first stage of these ResNets has 64.")
    dims = list(given.get("hidden_dims", SEGFORMER_HEADS))
    if any(width % heads for width, heads in zip(dims, SEGFORMER_HEADS, strict=True)):
        heads = ", ".join(map(str, SEGFORMER_HEADS))
        raise BenchError(f"'hidden_dims' can't be {dims}. They must be multiples of the attention heads: {heads}.")
    return 32
