"""Choose the image sizes of `--tta scales` that an architecture takes; imports no keras."""

from bench.architectures.sizes import check_image_size
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig

TTA = ("flips", "scales")
FACTORS = (0.75, 1.25)  # of height and width; the images' own size is a view, too

Size = tuple[int, int]  # height, width in pixels


def view_sizes(config: TrialConfig) -> list[Size]:
    """Return the sizes at which the views are predicted: for each factor the nearest that the architecture takes.

    A model that was trained on crops takes any size from that of a crop on, in tiles.

    Raises:
        BenchError: there is no smaller size.
    """
    spec = catalog.architecture(config)
    divisor = spec.divisor(config.backbone, config.params)
    least = config.crop or (max(divisor, spec.smallest_side),) * 2
    sizes = []
    for factor in FACTORS:
        size = (_nearest(config.image_size[0], factor, divisor), _nearest(config.image_size[1], factor, divisor))
        if any(side < bound for side, bound in zip(size, least, strict=True)):
            given, smallest = ("x".join(map(str, some)) for some in (config.image_size, least))
            raise BenchError(
                f"--tta scales needs a smaller size than {given}, but {config.pair} takes multiples of {divisor} from "
                f"{smallest} on. Use --tta flips."
            )
        if not config.crop:
            check_image_size(spec, size, config.backbone, config.params)
        sizes.append(size)
    return sizes


def _nearest(side: int, factor: float, divisor: int) -> int:
    """Return the multiple of `divisor` nearest to `side * factor` that is smaller than `side`, or larger than it."""
    found = round(side * factor / divisor) * divisor
    if factor < 1:
        return min(found, (side - 1) // divisor * divisor)
    return max(found, (side // divisor + 1) * divisor)
