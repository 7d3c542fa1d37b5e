"""Write architectures/specs.json and the parameter counts of new cases in tests/golden_params.json: `make specs`.

A count that stands is kept, so that a change of it fails a test; `make specs ARCH=unet` counts that architecture anew.
"""

import json
import math
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
from architecture_contract import Case, cases, small_cases, zero_initializers

from bench.architectures import SPECS_FILE
from bench.core.errors import BenchError
from bench.core.specs import Param
from bench.plugin import probe

GOLDEN_FILE = Path(__file__).with_name("golden_params.json")


def specs_text() -> str:
    """Write the JSON of all specs in the folder: our own by file, then the outside ones."""
    names = sorted(path.stem for path in SPECS_FILE.parent.glob("*.py") if path.stem != "__init__")
    found = [spec for name in names for spec in probe(f"bench.architectures.{name}")["architectures"]]
    return (
        _lines([_spec_text(spec) for spec in sorted(found, key=lambda spec: spec["package"] is not None)], "[]") + "\n"
    )


def _spec_text(spec: dict[str, Any]) -> str:
    params = _lines([json.dumps(_said(param)) for param in spec["params"]], "[]", "    ")
    texts = {name: params if name == "params" else json.dumps(value) for name, value in spec.items()}
    return _lines([f'"{name}": {text}' for name, text in texts.items()], "{}", "  ")


def _said(param: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a parameter that differ from their defaults."""
    return {field.name: param[field.name] for field in fields(Param) if param[field.name] != field.default}


def _lines(items: list[str], brackets: str, indent: str = "") -> str:
    """Write a JSON list or object with an item per line."""
    if not items:
        return brackets
    inner = f",\n{indent}  ".join(items)
    return f"{brackets[0]}\n{indent}  {inner}\n{indent}{brackets[1]}"


def parameter_counts(case: Case) -> list[int]:
    """Return the number of all parameters and of the trainable ones."""
    with zero_initializers():
        model = case.build(2 * case.divisor, 2 * case.divisor)
    return [model.count_params(), sum(math.prod(weight.shape) for weight in model.trainable_weights)]


def golden_text(known: dict[str, list[int]], again: str = "") -> str:
    """Write the JSON of every case's counts: known ones, except for those of the architecture `again`, and new ones."""
    counts = {}
    for case in [*small_cases(), *cases()]:
        lack = case.lacks(keras.backend.backend())
        if case.name in known and (lack or case.spec.name != again):
            counts[case.name] = known[case.name]
        elif lack:
            raise BenchError(f"The parameters of {case.name} can't be counted here: {lack}.")
        else:
            counts[case.name] = parameter_counts(case)
            print(f"{case.name}: {counts[case.name][0]:,} parameters")
            keras.backend.clear_session()
    return _lines([f"{json.dumps(name)}: {json.dumps(count)}" for name, count in counts.items()], "{}") + "\n"


if __name__ == "__main__":
    SPECS_FILE.write_text(specs_text())
    GOLDEN_FILE.write_text(golden_text(json.loads(GOLDEN_FILE.read_text()), *sys.argv[1:]))
