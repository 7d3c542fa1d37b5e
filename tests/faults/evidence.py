"""Look at a results folder from outside: which trials have ended, and whether their files agree.

The scores are computed anew from images.parquet by pyarrow, not by segbench's code.
"""

import json
from pathlib import Path

import pyarrow.parquet as pq

WORKING = ("trial.json", "progress.json", "outcome.json", "if-killed.json")


def ok_records(results: Path) -> dict[str, str]:
    """Return the text of each trial's ok record by identity, in its place or, where there is none, set aside."""
    found = {}
    for folder in sorted((results / "trials").glob("*")):  # ID comes before ID.replaced
        if folder.is_dir() and folder.suffix != ".running" and (folder / "record.json").exists():
            text = (folder / "record.json").read_text(encoding="utf-8")
            if json.loads(text)["status"] == "ok":
                found.setdefault(folder.name.removesuffix(".replaced"), text)
    return found


def waiting(results: Path) -> set[str]:
    """Return the trials that had ended, well, when their runner died: a whole outcome or a record waits."""
    return {
        folder.stem
        for folder in (results / "trials").glob("*.running")
        if any(_says_ok(folder / name) for name in ("outcome.json", "record.json"))
    }


def _says_ok(path: Path) -> bool:
    try:
        return json.loads(path.read_bytes())["status"] == "ok"
    except (OSError, ValueError, KeyError):
        return False


def problems(results: Path) -> list[str]:
    """List what is wrong with ok trials in their places."""
    found = []
    for folder in sorted((results / "trials").glob("*")):
        if folder.is_dir() and not folder.suffix and (folder / "record.json").exists():
            record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            if record["status"] == "ok":
                found += [f"{folder.name}: {problem}" for problem in _problems(folder, record)]
    return found


def _problems(folder: Path, record: dict) -> list[str]:
    left = [name for name in WORKING if (folder / name).exists()] + [p.name for p in folder.rglob(".*.part.*")]
    found = [f"{name} was left" for name in left]
    try:
        score = _mean_iou(folder / "images.parquet")
        rows = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        return [*found, repr(error)]
    if abs(score - record["metrics"]["mean_iou"]) > 1e-9:
        found.append(f"the table says {score}, the record {record['metrics']['mean_iou']}")
    steps = [row["steps"] for row in rows]
    if steps != sorted(set(steps)) or len(steps) != record["training"]["validations"]:
        found.append(f"validations after the steps {steps}")
    elif abs(rows[-1]["val_mean_iou"] - record["validation"]["mean_iou"]) > 1e-9:
        found.append("the history's last validation is not the record's")
    if not (folder / record["weights"]["file"]).stat().st_size:
        found.append("no weights")
    return found


def _mean_iou(path: Path) -> float:
    table = pq.read_table(path, use_threads=False)
    ious = []
    for number in range(sum(name.startswith("tp_") for name in table.column_names)):
        right, *wrong = (sum(table.column(f"{kind}_{number}").to_pylist()) for kind in ("tp", "fp", "fn"))
        if right + sum(wrong):
            ious.append(right / (right + sum(wrong)))
    return sum(ious) / len(ious)
