"""Name the files of a results folder, which has a folder per trial, each written completely and then renamed.

results/segbench.json                        the marker: {"schema_version": 1}
results/presets.json                         the names of the presets that trials were run with
results/commits.jsonl                        what trials gave at each commit of segbench, by `bench history --append`
results/note.txt                             by its owner: what the report says first
results/tracking/NAME/                       what `--track NAME` writes, unless it is sent elsewhere
results/memory/*.json                        what training needs at an image size (see sizes/kept_memory.py)
results/trials/ID/record.json                the record; a folder without `.running` always has one
                 history.jsonl               a line at each evaluation
                 images.parquet              the per-image table of the test split
                 timings.parquet             every timing: latency calls, blocks of training steps
                 samples/*.png               image, truth and prediction side by side
                 worst/*.png                 the same for the test images with the lowest mean IoU, which is in the name
                 predictions/                class maps and probabilities of the test split, if they are kept
                 rescored.json, .parquet     results of `bench rescore` from them
                 weights.weights.h5          the tested weights, if they are kept (see weight_retention.py)
                 weights.keep                empty: these weights are never removed
                 evaluations/                results of `bench evaluate`
                 robustness/                 results of `bench robustness` (see robustness/condition_files.py)
                 deployments.json            results of `bench deploy`, a row per format, precision and threads
                 size_limits.json             further limits that led to its image size (see sizes/noted_limits.py)
                 verifications.json           verdicts of `bench verify` on it (see verified/kept_verdicts.py)
                 checkpoints/*.npz           the state of a training that is to go on, until its record is final
                 log.txt                     what the trial printed
results/trials/ID.running/                   the same while the trial runs, with trial.json, code.json, progress.json;
                                             outcome.json at its end; with record.json, only the renames are missing
results/trials/ID.replaced/                  an older trial's, until the new one is in its place
results/trials/ID.lock                       held by the runner that runs the trial
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.files import write_atomically
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import is_file, read_file
from bench.results.clean_text import clean, shorten

_NOTE_LENGTH = 500  # characters
MARKER = "segbench.json"
PRESETS = "presets.json"
NOTE = "note.txt"  # in a results folder, by its owner: the report begins with it
COMMITS = "commits.jsonl"  # of `bench history --append`: the report shows it
MEMORY = "memory"
RECORD = "record.json"
HISTORY = "history.jsonl"
IMAGES = "images.parquet"
LAYERS = "layers.json"
SAMPLES = "samples"
WORST = "worst"
WEIGHTS = "weights.weights.h5"  # Keras asks for this ending
KEEP = "weights.keep"
PREDICTIONS = "predictions"
RESCORED = "rescored"
EVALUATIONS = "evaluations"
ROBUSTNESS = "robustness"
DEPLOYMENTS = "deployments.json"
SIZE_LIMITS = "size_limits.json"
VERIFICATIONS = "verifications.json"
CHECKPOINTS = "checkpoints"
LOG = "log.txt"
RETRY_LOG = "log-of-failed-retry.txt"  # the log of a --force that failed while the old record stays
REQUEST = "trial.json"
CODE = "code.json"  # of the trial's plug-in, when the run was planned
PROGRESS = "progress.json"
OUTCOME = "outcome.json"  # written by the trial's process into its folder: the parts of a record, with the status
IF_KILLED = "if-killed.json"  # the parts that are kept if the system kills the process because memory ran out
RUNNING, REPLACED, LOCK = ".running", ".replaced", ".lock"  # what follows a trial's identity
OF_WORK = (REQUEST, CODE, PROGRESS, OUTCOME, IF_KILLED)  # not kept when the trial has ended
MOST_BYTES = 64 * 2**20  # of a history or a progress file


def predictions_of(evaluation: Path) -> Path:
    """Return the folder of the predictions that belong to a file of `bench evaluate`."""
    return evaluation.with_name(f"{evaluation.stem}.{PREDICTIONS}")


def note_preset(results: Path, name: str) -> None:
    """Note that trials in a results folder were run with a preset; nothing if it is no results folder."""
    known = presets_of(results)
    if name not in known and (results / MARKER).is_file():
        write_json(results / PRESETS, {"presets": [*known, name]})


def presets_of(results: Path) -> list[str]:
    """Read the names of the presets that trials in a results folder were run with; the file may say anything."""
    names = read_json(results / PRESETS).get("presets")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def notes_of(folders: Iterable[Path]) -> list[str]:
    """Read what the owners of results folders say of them, a line each; none where there is no such file."""
    files = [Path(folder) / NOTE for folder in folders]
    texts = [read_file(file, MOST_BYTES).decode("utf-8-sig", errors="replace") for file in files if is_file(file)]
    return [shorten(clean(" ".join(text.split())), _NOTE_LENGTH) for text in texts if text.strip()]


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write a value as JSON with `write_atomically`."""
    with write_atomically(path, sync=sync) as part:
        part.write_bytes(json.dumps(value, indent=1, sort_keys=False).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; {} if there is none yet."""
    try:
        value = safe_json.loads(read_file(path, MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
