"""Read classes.json: the names of the classes and what in a mask is which.

    ["background", "car"]                       the values 0, 1, ...
    {"background": 0, "car": [7, 8]}            the values of each class
    {"background": "#000000", "car": "#800000"} the colours of each class
    {"classes": ..., "ignore": [255, "#e0e0c0", "nan"], "threshold": 128, "from": "palette"}

`ignore` lists values or colours that are neither trained on nor scored. `threshold` makes two classes: the second is
where a value is at least that. `from` says what is looked at: `index` (the values of the file, for a colour table its
indices), `palette` (the colours, those of a colour table or of the pixels) or `alpha` (the alpha channel).
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.datasets.mask_survey import NAN as NAN_VALUE

FILE = "classes.json"
INDEX, PALETTE, ALPHA = SOURCES = ("index", "palette", "alpha")
NAN = "nan"
_ACCEPTED = (
    'Accepted: a list of names ["background", "car"], a table of values {"background": 0, "car": [7, 8]} or of colours '
    '{"background": "#000000", "car": "#800000"}, or {"classes": one of these, "ignore": [255], "threshold": 128, '
    f'"from": "{INDEX}", "{PALETTE}" or "{ALPHA}"}} with 2 to {IGNORE_INDEX} different names and values.'
)
_MOST_BYTES = 2**20
_KEYS = {"classes", "ignore", "threshold", "from"}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

Value = int | str  # a whole number, a colour "#rrggbb", or NAN


@dataclass(frozen=True)
class ClassesFile:
    """The content of classes.json."""

    path: Path
    names: tuple[str, ...]
    labels: Mapping[Value, int]  # value or colour -> label; empty: 0, 1, ... in the order of the names
    ignore: frozenset[Value] = frozenset()
    threshold: float | None = None
    source: str = ""  # one of SOURCES; empty: not said

    @property
    def coloured(self) -> bool:
        """Return whether colours are mapped to classes, not values."""
        return self.source == PALETTE or any(isinstance(value, str) for value in self.labels)


def number_of(value: Value) -> float:
    """Return a value of classes.json as masks have it: a colour as 0xRRGGBB."""
    if isinstance(value, str):
        return NAN_VALUE if value == NAN else int(value[1:], 16)
    return value


def read_classes(path: Path) -> ClassesFile:
    """Read the file; raise BenchError if it can't be read or understood."""
    try:
        text = read_file(path, _MOST_BYTES, links=True).decode("utf-8-sig")
        given = safe_json.loads(text, pairs=_without_doubles)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise BenchError(f"{path}: can't be read ({reason}). {_ACCEPTED}") from error
    whole = isinstance(given, dict) and isinstance(given.get("classes"), dict | list) and set(given) <= _KEYS
    parts = given if whole else {"classes": given}
    names, labels = _named(path, parts["classes"])
    ignore = _values(parts.get("ignore", []))
    threshold, source = parts.get("threshold"), parts.get("from", "")
    number = threshold is None or (type(threshold) in (int, float) and math.isfinite(threshold))
    if ignore is None or not number or source not in ("", *SOURCES):
        raise _not_understood(path, given)
    coloured = source == PALETTE or any(map(_is_colour, labels))
    if strange := [value for value in ignore if value != NAN and _is_colour(value) != coloured]:
        what = "colours and the value" if coloured else "values and the colour"
        raise BenchError(f"{path}: the classes are {what} {strange[0]} is to be ignored. Give both as colours or "
                         f"both as values. {_ACCEPTED}")  # fmt: skip
    if threshold is not None and (len(names) != 2 or labels):
        raise BenchError(f"{path}: a threshold parts two classes; give a list of two names beside it. {_ACCEPTED}")
    if source == PALETTE and not any(isinstance(value, str) for value in labels):
        raise BenchError(f'{path}: "from": "{PALETTE}" needs the colour of each class. {_ACCEPTED}')
    if both := set(ignore) & set(labels):
        raise BenchError(f"{path}: {sorted(map(str, both))} are a class's and ignored. Keep one of them.")
    return ClassesFile(path, names, labels, frozenset(ignore), threshold, source)


def misplaced(folder: Path, places: Iterable[Path]) -> Path | None:
    """Return a file that is meant as classes.json: of another case in the folder, or in one of the masks' folders."""
    there = [path for path in folder.iterdir() if path.name.lower() == FILE and path.name != FILE]
    return next(iter([*there, *(path for place in sorted(set(places)) if (path := place / FILE).is_file())]), None)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _named(path: Path, given: Any) -> tuple[tuple[str, ...], dict[Value, int]]:
    """Return the names and the label of each value or colour; none for a list of names."""
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        _check_counts(path, given, len(given), len(given))
        return tuple(given), {}
    table = {name: _values(value) for name, value in given.items()} if isinstance(given, dict) else {}
    if not table or not all(table.values()):
        raise _not_understood(path, given)
    if len({type(value) for values in table.values() for value in values or ()}) > 1:
        raise BenchError(f"{path}: give either values or colours, not both. {_ACCEPTED}")
    numbers = all(isinstance(value, int) for values in table.values() for value in values or ())
    names = sorted(table, key=lambda name: min(table[name] or ())) if numbers else list(table)
    labels = {value: label for label, name in enumerate(names) for value in table[name] or ()}
    _check_counts(path, names, len(labels), sum(len(values or ()) for values in table.values()))
    return tuple(names), labels


def _check_counts(path: Path, names: Iterable[str], different: int, given: int) -> None:
    names = list(names)
    if wrong := [name for name in names if not name.strip() or not name.isprintable()]:
        raise BenchError(f"{path}: {json.dumps(wrong[0])} is no name. Give each class one that can be printed.")
    if not 2 <= len(set(names)) == len(names) <= IGNORE_INDEX or different < given:
        raise BenchError(f"{path}: it has {len(names)} names and {different} different values. {_ACCEPTED}")


def _values(given: Any) -> list[Value] | None:
    """Read one value or colour or a list of them; None if there is anything else."""
    values = given if isinstance(given, list) else [given]
    if not all(type(value) is int or (isinstance(value, str) and _is_text_value(value)) for value in values):
        return None
    return [value.lower() if isinstance(value, str) else value for value in values]


def _is_colour(value: Value) -> bool:
    return isinstance(value, str) and value != NAN


def _is_text_value(text: str) -> bool:
    return bool(_COLOUR.fullmatch(text)) or text.lower() == NAN


def _not_understood(path: Path, given: Any) -> BenchError:
    return BenchError(f"{path}: {json.dumps(given)[:80]} is not understood. {_ACCEPTED}")
