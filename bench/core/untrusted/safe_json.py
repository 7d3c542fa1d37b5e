"""Read JSON that others may have written: any fault is a ValueError, also one that would exhaust the machine."""

import json
import math
from collections.abc import Callable
from typing import Any

MOST_DEPTH = 40  # levels; segbench's own files have at most 6
MOST_VALUES = 100_000
LARGEST_NUMBER = 1e100  # sums and squares of larger ones are infinite
LARGEST_INTEGER = 2**63  # larger ones fit into no column of a table


def loads(
    data: bytes | str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None, most: int = MOST_VALUES
) -> Any:
    """Parse JSON.

    Args:
        pairs: the parser's `object_pairs_hook`.
        most: the largest number of values.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or has too many values or too large a number.
    """
    try:
        value = json.loads(data, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError(too_deep()) from None
    check_size(value, most)
    return value


def check_size(value: Any, most: int) -> None:
    """Raise ValueError if a value is nested too deeply, has too many parts or too large a number."""
    level, depth, count = [value], 0, 0
    while level:
        count += len(level)
        if count > most:
            raise ValueError(f"it has more than {most:,} values")
        if depth > MOST_DEPTH:
            raise ValueError(too_deep())
        depth += 1
        if any(type(item) is int and abs(item) > LARGEST_INTEGER for item in level):
            raise ValueError("an integer has more than 63 bits")
        if any(type(item) is float and LARGEST_NUMBER < abs(item) < math.inf for item in level):
            raise ValueError(f"a number is above {LARGEST_NUMBER:g}")
        parts = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [inner for part in parts for inner in part]


def too_deep() -> str:
    """Return the message of what is nested too deeply."""
    return f"it is nested more than {MOST_DEPTH} levels deep"
