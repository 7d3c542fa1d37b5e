"""Recorded values as text: numbers, and the parameters of architectures and data sets."""

import json
from collections.abc import Collection, Sequence

from bench.core.trial_config import OPTIONS
from bench.results.analysis.configurations import Configuration

BUILT, DATA = "builder_params", "dataset_params"
_NAMES = {option.column: option.name for option in OPTIONS.values() if option.column not in (BUILT, DATA)}


def setting_words(column: str) -> str:
    """Write the name of a column in words, that of an option as users give it: `train images` for `train_limit`."""
    return _NAMES.get(column, column).replace("_", " ")


def setting_text(name: str, member: Configuration, keys: Collection[str] | None = None) -> str:
    """Write a field of the configuration; parameters as `--param` takes them: `filters=[8,16], depth=2`.

    Args:
        keys: the parameters to write, `default kernel_size` if it has none of them; None for all that it has.
    """
    table = _table(name, member) if name in (BUILT, DATA) else None
    if table is None:
        return value_text(member.values[name])
    shown = {key: value for key, value in table.items() if keys is None or key in keys}
    if keys and not shown:
        return f"default {', '.join(keys)}"
    return ", ".join(f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in shown.items())


def _table(name: str, member: Configuration) -> dict[str, object] | None:
    """Read a field of parameters; None if a record, which somebody edited, has no table there."""
    try:
        found = json.loads(value_text(member.values[name]) or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def value_text(value: object) -> str:
    """Write a recorded value, with numbers in short form; empty for NaN."""
    if isinstance(value, float | int):
        return "" if value != value else f"{value:g}"
    return str(value)


def differing(name: str, members: Sequence[Configuration]) -> tuple[str, ...] | None:
    """List the parameters that differ, () if none do; None if a record, which somebody edited, has no table."""
    if len({str(member.values[name]) for member in members}) == 1:
        return ()
    tables = [_table(name, member) for member in members]
    if not all(table is not None for table in tables):
        return None
    some = [table or {} for table in tables]
    keys = dict.fromkeys(key for table in some for key in table)
    return tuple(key for key in keys if len({json.dumps(table.get(key, "")) for table in some}) > 1)
