"""Read TOML that others may have written: any fault is a ValueError, also one that would exhaust the machine."""

import tomllib
from typing import Any

from bench.core.untrusted.safe_json import MOST_VALUES, check_size, too_deep

LONGEST = 2**20  # characters


def loads(text: str) -> dict[str, Any]:
    """Parse TOML; raise ValueError if it is none, or nested too deeply, or too large."""
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST:,} characters")
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError(too_deep()) from None
    check_size(values, MOST_VALUES)
    return values
