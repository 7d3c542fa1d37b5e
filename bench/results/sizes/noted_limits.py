"""Note further limits that led to the image size of a finished trial, which a run found done: `size_limits.json`.

The image size is in a trial's key, and the limit isn't. So the record names the limit of the run that trained it, and
this file beside it those of later runs, whose tables of equal cost have its row, too.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.config.equal_cost import LIMITS, limit_of
from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.results.trial_files import SIZE_LIMITS, read_json, write_json


def note_limit(folder: Path, config: TrialConfig, record: TrialRecord) -> None:
    """Note a configuration's limit beside the record of its trial, unless it is known there.

    Raises:
        BenchError: the file can't be written.
    """
    if not (found := limit_of(config)):
        return
    limit, most = found
    if record.config.get(limit.field) == most or any(one[:2] == (limit.field, most) for one in noted_limits(folder)):
        return
    notes = [dict(zip(("limit", "most", "cost"), one, strict=True)) for one in noted_limits(folder)]
    try:
        write_json(
            folder / SIZE_LIMITS,
            {"limits": [*notes, {"limit": limit.field, "most": most, "cost": config.sized_memory_mib}]},
        )
    except OSError as error:
        raise BenchError(f"'{folder / SIZE_LIMITS}' can't be written ({error.strerror}).") from error


def noted_limits(folder: Path) -> list[tuple[str, float, float | None]]:
    """Return what is noted in a trial's folder: the field of a limit, its value, and the memory if it is of memory."""
    rows = read_json(folder / SIZE_LIMITS).get("limits")
    return list(_whole(rows)) if isinstance(rows, list) else []


def _whole(rows: list[Any]) -> Iterator[tuple[str, float, float | None]]:
    for row in rows:
        if not isinstance(row, dict) or row.get("limit") not in {limit.field for limit in LIMITS}:
            continue
        if most := _amount(row.get("most")):
            yield str(row["limit"]), most, _amount(row.get("cost"))


def _amount(value: Any) -> float | None:
    """Return a number above 0; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value > 0 else None
