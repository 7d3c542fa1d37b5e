"""The values of --weights: each is one for all backbones, or a table of them by backbone."""

import re
from collections.abc import Mapping
from typing import Any

_ENTRY = re.compile(r"\s*([\w-]+)\s*=\s*(.*)", re.DOTALL)  # a path with = has a / or a . in front of it


def gather_tables(values: list[Any]) -> list[Any]:
    """Join the entries `backbone=weights` of a command line to one table, and give each table one value a backbone.

    `none`, `vgg16=A`, `resnet50=B` are two values: `none`, and a table of two. In a table, several values of a backbone
    are an axis: {vgg16: [A, B], resnet50: C} becomes {vgg16: A, resnet50: C} and {vgg16: B, resnet50: C}.
    """
    found: list[Any] = []
    entries: dict[str, list[str]] = {}
    for value in values:
        if not isinstance(value, str) or not (entry := _ENTRY.fullmatch(value)):
            found.append(value)
            continue
        if not entries:
            found.append(entries)
        entries.setdefault(entry[1], []).append(entry[2])
    return [one for value in found for one in (_columns(value) if isinstance(value, Mapping) else [value])]


def _columns(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    lists = {name: some if isinstance(some, list) else [some] for name, some in table.items()}
    if not table or not all(lists.values()):
        return [table]  # for the message
    longest = max(map(len, lists.values()))
    return [{name: some[min(i, len(some) - 1)] for name, some in lists.items()} for i in range(longest)]
