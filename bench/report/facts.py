"""What the page says of the trials as a whole: how many, where they ran, which failed and how."""

import re
from typing import Any

import pandas as pd

from bench.records.store import StoredTrial
from bench.records.text import clean, shorten

_LOG_LINES, _LOG_LINE_LENGTH = 60, 500


def facts(ranked: int, frame: pd.DataFrame) -> dict[str, str]:
    """What the head of the page says; `ranked` configurations stand in its tables."""
    ok = int((frame["status"] == "ok").sum())
    dates = sorted(d[:10] for d in frame["started"] if re.match(r"\d{4}-\d\d-\d\d", d))
    period = dates[0] if len(set(dates)) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "unknown"
    return {
        "trials": f"{len(frame)}: {ok} ok, {len(frame) - ok} not",
        "configurations ranked": str(ranked),
        "data sets": _listed(frame.loc[frame["measure"] != "speed", "dataset"]),
        "devices": _listed(frame["device"]),
        "run": period,
    }


def _listed(column: pd.Series, most: int = 6) -> str:
    values = sorted(set(column) - {""})
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shorten(v, 80) for v in values[:most]) + more or "none"


def failure(row: dict[str, Any], trial: StoredTrial) -> dict[str, Any]:
    """One trial that did not end well: what it was, why, and the end of its log."""
    lines = trial.record.log_tail[-_LOG_LINES:]
    return {
        "pair": shorten(":".join(filter(None, (row["arch"], row["backbone"]))) or "unknown"),
        "dataset": shorten(row["dataset"]),
        "what": ", ".join(
            [
                f"seed {row['seed']:g}",
                row["image_size"],
                f"batch {row['batch_size']:g}",
                row["backend"],
                row["precision"],
            ]
        ),
        "status": shorten(row["status"].replace("_", " ")),
        "reason": shorten(row["reason"], 600) or "no reason was recorded",
        "log": "\n".join(shorten(clean(line, keep="\t"), _LOG_LINE_LENGTH) for line in lines),
    }


def environments(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The different software and hardware that the ok trials ran on."""
    names = ["device", "backend", "platform", "python", "commit", "driver"]
    names += [c for c in frame.columns if c.startswith("version_")]
    ok = frame[frame["status"] == "ok"].reindex(columns=names).astype(object)
    ok["commit"] = ok["commit"].astype(str).str[:10]
    counted = ok.where(ok.notna(), "").astype(str).value_counts(sort=False).reset_index()
    rows = []
    for values in counted.to_dict("records"):
        trials = values.pop("count")
        rows.append(
            {shorten(k.removeprefix("version_")): shorten(v) for k, v in values.items() if v} | {"trials": str(trials)}
        )
    return rows
