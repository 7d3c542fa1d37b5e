"""The facts of all masks of a data set together, and the words in which messages name them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import first_few
from bench.datasets.mask_survey import MaskFacts

_EXAMPLES = 6  # values and colours that a message names


@dataclass(frozen=True)
class Evidence:
    """The facts of all readable masks of a data set, with their names for messages."""

    masks: Sequence[tuple[str, MaskFacts]]
    place: str  # the folder of the masks, for messages
    file: str = "classes.json"  # the one that is or would be read, for messages

    @cached_property
    def values(self) -> Counter[float]:
        """The pixels of each value, over all masks of exact formats whose values count."""
        return _sum(facts.values for _, facts in self.masks if not facts.lossy)

    @cached_property
    def colours(self) -> Counter[str]:
        """The pixels of each colour, with those of grey masks."""
        return _sum(facts.colours or _greys(facts.values) for _, facts in self.masks)

    def of(self, wanted: Callable[[MaskFacts], object]) -> list[str]:
        """Return the names of the masks that are `wanted`."""
        return [name for name, facts in self.masks if wanted(facts)]


def _sum(counts: Iterable[Mapping[float, int]] | Iterable[Mapping[str, int]]) -> Counter:  # type: ignore[type-arg]
    total: Counter = Counter()  # type: ignore[type-arg]
    for each in counts:
        total.update(each)
    return total


def _greys(values: Mapping[float, int]) -> dict[str, int]:
    return {f"#{int(v):02x}{int(v):02x}{int(v):02x}": n for v, n in values.items() if v in range(256)}


def masks(names: Sequence[str], one: str, more: str) -> str:
    """Return a subject and its verb: how many masks, the first of them by name, and `one` or `more`."""
    return f"1 mask ({names[0]}) {one}" if len(names) == 1 else f"{len(names)} masks (the first: {names[0]}) {more}"


def listing(values: Iterable[object]) -> str:
    found = sorted(values, key=lambda value: (isinstance(value, float) and value != value, value))
    return first_few((f"{v:g}" if isinstance(v, int | float) else v for v in found), _EXAMPLES)
