"""Read a `model.json`: the terms on which a model is used, as `bench export` or somebody by hand has written them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.checks import require_choice
from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.specs import RESIZES
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.core.untrusted.typed_values import fits
from bench.data.reading.values import Values

LAYOUTS, CHANNELS, OUTPUTS = ("NHWC", "NCHW"), ("RGB", "BGR"), ("logits", "probabilities", "classes")
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class _Key:
    """A value of the file: its place, the field of `Contract` that it gives, and its type."""

    place: str
    field: str
    type: Any
    choices: tuple[str, ...] = ()


_KEYS = (
    _Key("input.scale", "scale", float),
    _Key("input.mean", "mean", list[float]),
    _Key("input.std", "std", list[float]),
    _Key("input.layout", "layout", str, LAYOUTS),
    _Key("input.channels", "channels", str, CHANNELS),
    _Key("output.values", "output", str, OUTPUTS),
    _Key("output.name", "output_name", str),
    _Key("tiles.size", "tile", tuple[int, int]),
    _Key("classes", "classes", list[str]),
    _Key("image_size", "image_size", tuple[int, int]),
    _Key("resize", "resize", str, RESIZES),
    _Key("eval_size", "eval_size", str, ("train", "native")),
    _Key("threshold", "threshold", float),
    _Key("min_area", "min_area", int),
)


def read_json(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file; return the values that it gives to fields of `Contract`, and all that it says.

    Raises:
        BenchError: it can't be read, or has a value of another type than it must be.
    """
    name = shown(str(path))
    try:
        said = safe_json.loads(read_file(path, _MOST_BYTES, links=True))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BenchError(f"--preprocess '{name}' can't be read ({why}). Give a model.json.") from error
    if not isinstance(said, dict):
        raise BenchError(f"--preprocess '{name}' is no model.json: it holds no table.")
    found: dict[str, Any] = {"exported": bool(said.get("format") and said.get("source"))}
    if _at(said, "input.normalisation") == "inside the graph":
        found["scale"] = 1.0
    if (values := _at(said, "input.values")) is not None:
        found["values"] = Values.from_dict(values)
    for key in _KEYS:
        if key.field == "channels" and "values" in found:
            continue  # it says how many bands there are
        if (value := _at(said, key.place)) is None:
            continue
        if not fits(value, key.type):
            raise BenchError(f"'{key.place}' in '{name}' is {shown(str(value))}. {_accepted(key)}")
        if key.choices:
            require_choice(f"value of '{key.place}' in '{name}'", value, key.choices)
        found[key.field] = tuple(value) if isinstance(value, list) else value
    return found, said


def _at(said: Mapping[str, Any], place: str) -> Any:
    """Return the value at a place such as `input.mean`; None if there is none."""
    table, _, name = place.rpartition(".")
    inner = said.get(table, {}) if table else said
    return inner.get(name) if isinstance(inner, dict) else None


def _accepted(key: _Key) -> str:
    words = {float: "a number", int: "a whole number", str: "a text", list[float]: "a list of numbers"}
    words |= {list[str]: "a list of texts", tuple[int, int]: "height and width, two whole numbers"}
    return f"Accepted: {words[key.type]}."
