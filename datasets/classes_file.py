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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.data.reading.contents import here
from bench.datasets.mask_survey import NAN as NAN_VALUE

FILE = "classes.json"
INDEX, PALETTE, ALPHA = SOURCES = ("index", "palette", "alpha")
NAN = "nan"
_ACCEPTED = (
    'Accepted: a list of names ["background", "car"], a table of values {"background": 0, "car": [7, 8]} or of colours '
    '{"background": "#000000", "car": "#800000"}, or {"classes": one of these, "ignore": [255], "threshold": 128, '
    f'"from": "{INDEX}", "{PALETTE}" or "{ALPHA}"}} with 2 to {IGNORE_INDEX} different names and values.'
)
_ENTRY = 'a whole number such as 7, a colour such as "#800000", or a list of either'
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
    by_hand: bool = True  # False: the names are those of a library's data set

    @property
    def coloured(self) -> bool:
        """Return whether colours are mapped to classes, not values."""
        return self.source == PALETTE or any(isinstance(value, str) for value in self.labels)


def number_of(value: Value) -> float:
    """Return a value of classes.json as masks have it: a colour as 0xRRGGBB."""
    if isinstance(value, str):
        return NAN_VALUE if value == NAN else int(value[1:], 16)
    return value


def proposed_name(value: Value) -> str:
    """Return the name that a class gets until its user gives it another."""
    return f"class_{value[1:] if isinstance(value, str) else value}"


def misplaced(folder: Path, places: Iterable[Path]) -> Path | None:
    """Return a file that is meant as classes.json: of another case in the folder, or in one of the masks' folders."""
    there = [path for path in folder.iterdir() if path.name.lower() == FILE and path.name != FILE]
    return next(iter([*there, *(path for place in sorted(set(places)) if (path := place / FILE).is_file())]), None)


def read_classes(path: Path) -> ClassesFile:
    """Read the file; raise BenchError if it can't be read or understood."""
    given = _parsed(path)
    whole = isinstance(given, dict) and _is_whole(given)
    parts = given if whole else {"classes": given}
    if strange := sorted(set(parts) - _KEYS):
        raise BenchError(f'{path}: "{strange[0]}" beside "classes" is unknown. Accepted: {", ".join(sorted(_KEYS))}.')
    names, labels = _named(path, parts["classes"])
    ignore = _values(parts.get("ignore", []))
    threshold, source = parts.get("threshold"), parts.get("from", "")
    if ignore is None:
        raise _wrong(path, "ignore", parts["ignore"], f'{_ENTRY}, or "{NAN}"')
    if not (threshold is None or (type(threshold) in (int, float) and math.isfinite(threshold))):
        raise _wrong(path, "threshold", threshold, "a number such as 128")
    if source not in ("", *SOURCES):
        raise _wrong(path, "from", source, ", ".join(f'"{name}"' for name in SOURCES))
    coloured = source == PALETTE or any(map(_is_colour, labels))
    if strange := [value for value in ignore if value != NAN and _is_colour(value) != coloured]:
        what = "colours and the value" if coloured else "values and the colour"
        raise BenchError(f"{path}: the classes are {what} {strange[0]} is to be ignored. Give both as colours or "
                         f"both as values.")  # fmt: skip
    if threshold is not None and (len(names) != 2 or labels):
        raise BenchError(f"{path}: a threshold parts two classes; give a list of two names beside it.")
    if source == PALETTE and not any(isinstance(value, str) for value in labels):
        raise BenchError(f'{path}: "from": "{PALETTE}" needs the colour of each class, as {{"car": "#800000"}}.')
    if both := set(ignore) & set(labels):
        raise BenchError(f"{path}: {sorted(map(str, both))} are a class's and ignored. Keep one of them.")
    return ClassesFile(path, names, labels, frozenset(ignore), threshold, source)


def _parsed(path: Path) -> Any:
    try:
        text = read_file(here(path), _MOST_BYTES, links=True).decode("utf-8-sig")
        return safe_json.loads(text, pairs=_without_doubles)
    except json.JSONDecodeError as error:
        raise BenchError(f"{path}, {_place_of(error)}. Correct that line.") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise BenchError(f"{path}: can't be read ({reason}).") from error


def _place_of(error: json.JSONDecodeError) -> str:
    """Say where and what a mistake of JSON is."""
    before = error.doc[: error.pos + 1].rstrip("}]").rstrip()  # Python 3.13 points to the comma, older ones behind it
    after = error.doc[len(before) :].lstrip()
    if before.endswith(",") and after[:1] in ("}", "]"):
        return f"line {before.count(chr(10)) + 1}: a comma before {after[0]}"
    return f"line {error.lineno}, column {error.colno}: {error.msg}"


def _is_whole(given: Mapping[str, Any]) -> bool:
    """Return whether an object has the key "classes" for the classes, not for a class of that name."""
    inner = given.get("classes")
    texts = isinstance(inner, list) and all(isinstance(name, str) and not _is_text_value(name) for name in inner)
    return isinstance(inner, dict) or texts or (isinstance(inner, list) and set(given) <= _KEYS)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _named(path: Path, given: Any) -> tuple[tuple[str, ...], dict[Value, int]]:
    """Return the names and the label of each value or colour; none for a list of names."""
    if not given or not isinstance(given, list | dict):
        raise BenchError(f"{path}: {json.dumps(given)[:80]} is not understood. {_ACCEPTED}")
    if isinstance(given, list):
        if strange := [name for name in given if not isinstance(name, str)]:
            raise BenchError(f"{path}: {json.dumps(strange[0])[:80]} in the list is no name in quotes. {_ACCEPTED}")
        _check_names(path, given)
        return tuple(given), {}
    table: dict[str, list[Value]] = {}
    for name, value in given.items():
        if not (values := _values(value)):
            raise _wrong(path, name, value, _ENTRY)
        table[name] = values
    if len({type(value) for values in table.values() for value in values}) > 1:
        raise BenchError(f"{path}: give either values or colours, not both. {_ACCEPTED}")
    _check_values(path, table)
    numbers = all(isinstance(value, int) for values in table.values() for value in values)
    names = sorted(table, key=lambda name: min(table[name])) if numbers else list(table)
    _check_names(path, names)
    return tuple(names), {value: label for label, name in enumerate(names) for value in table[name]}


def _check_names(path: Path, names: Sequence[str]) -> None:
    if wrong := [name for name in names if not name.strip() or not name.isprintable()]:
        raise BenchError(f"{path}: {json.dumps(wrong[0])} is no name. Give each class one that can be printed.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise BenchError(f"{path}: the name '{twice[0]}' is given twice.")
    if not 2 <= len(names) <= IGNORE_INDEX:
        raise BenchError(f"{path}: it has {len(names)} names. Accepted: 2 to {IGNORE_INDEX}.")


def _check_values(path: Path, table: Mapping[str, list[Value]]) -> None:
    """Raise BenchError for a value or colour that is given twice; lists of three numbers may be meant as colours."""
    owner: dict[Value, str] = {}
    for name, values in table.items():
        for value in values:
            if value in owner:
                where = f"'{owner[value]}' and '{name}'" if owner[value] != name else f"'{name}' twice"
                raise BenchError(f"{path}: {value} stands in {where}. {_meant_as_colours(table)}")
            owner[value] = name


def _meant_as_colours(table: Mapping[str, list[Value]]) -> str:
    triples = {name: values for name, values in table.items() if len(values) == 3 and set(values) <= set(range(256))}
    if len(triples) < len(table):
        return "Each value is of one class."
    colours = {name: f"#{bytes(map(int, values)).hex()}" for name, values in triples.items()}
    return f"A list means several grey values; a colour is written so: {json.dumps(colours)}"


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


def _wrong(path: Path, name: str, value: Any, accepted: str) -> BenchError:
    return BenchError(f'{path}: "{name}" is {json.dumps(value)[:80]}. Accepted: {accepted}.')
