"""Nested mappings, as records hold them."""

from collections.abc import Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the names of nested mappings by dots: `{"iou": {"pet": 0.8}}` becomes `{"iou.pet": 0.8}`."""
    joined: dict[str, Any] = {}
    for name, value in values.items():
        joined |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return joined
