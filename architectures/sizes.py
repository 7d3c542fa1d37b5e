"""Which image sizes an architecture takes; needs no keras, so that the parent process can check a whole grid."""

from collections.abc import Mapping
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import ArchitectureSpec


def check_image_size(
    spec: ArchitectureSpec,
    image_size: tuple[int, int],
    backbone: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Raise BenchError naming the next size that fits, if the architecture can't take `image_size`.

    Args:
        spec: the architecture; its `divisor` says what height and width must be multiples of, `square` whether they
            must be equal, `smallest_side` how large at least.
        image_size: height and width in pixels.
        backbone: None is the architecture's default.
        params: of the builder.
    """
    divisor = spec.divisor(backbone or spec.default_backbone, params)
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
