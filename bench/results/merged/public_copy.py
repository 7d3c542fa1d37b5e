"""Copy of a trial what may be published: numbers only, without pictures, weights, logs and paths of a machine."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import is_file, read_file
from bench.profiling.clock.timing_table import TIMINGS
from bench.results.trial_files import HISTORY, IMAGES, MOST_BYTES, RECORD

FILES = (HISTORY, IMAGES, TIMINGS)  # besides the record: whole, because they hold numbers and the images' names
_LEFT_OUT = ("log_tail",)  # of the record: the last lines of the log
_ROOT = r"(?:file://)?(?:~[\w.-]*|[A-Za-z]:)?[\\/]"
_LAST = r"(?=[^\\/]*$)"
_WHOLE = re.compile(rf"((?:\w{{2,}}:(?!//))?)(?:{_ROOT}.*[\\/]{_LAST}|{_ROOT})")  # a path, or `folder:/my data/a`
_QUOTED = re.compile(rf"(['\"`]){_ROOT}(?:[^'\"`]*[\\/])?([^\\/'\"`]+)[\\/]?\1")  # in a sentence, with spaces
_START = rf"(?<![\w/.~-])(?!(?<=:)//){_ROOT}[\\/]?"  # not a URL's; //server is a path
_INSIDE = re.compile(rf"{_START}(?:[^\\/\s'\",;()]+[\\/])*([^\\/\s'\",;()]+)")  # in a sentence


def copy_public(trial: Path, target: Path) -> None:
    """Copy a trial's folder to `target`, which must not exist, but for what must stay on the machine.

    Each absolute path in the record becomes its last part, such as `pets` for the data's folder.
    """
    target.mkdir()
    record = safe_json.loads(read_file(trial / RECORD, MOST_BYTES))
    (target / RECORD).write_text(json.dumps(public_record(record), indent=1), encoding="utf-8")
    for name in FILES:
        if is_file(trial / name):
            shutil.copyfile(trial / name, target / name)


def public_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a record may be published."""
    return {name: without_paths(value) for name, value in record.items() if name not in _LEFT_OUT}


def without_paths(value: Any) -> Any:
    """Replace each absolute path in the texts of a JSON value by its last part."""
    if isinstance(value, str):
        whole = _WHOLE.match(value)
        text = _WHOLE.sub(r"\1", value.rstrip("\\/"), count=1) if whole else _QUOTED.sub(r"\1\2\1", value)
        return _INSIDE.sub(r"\1", text)
    if isinstance(value, list):
        return [without_paths(one) for one in value]
    if isinstance(value, dict):
        return {key: without_paths(one) for key, one in value.items()}
    return value
