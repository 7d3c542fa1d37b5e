"""Check saved trials under one backend: `python tests/saved_checks.py REQUEST.json` prints its findings as JSON.

The request has `commands` (name -> arguments of `bench`), which all run in this process, and `restore`: the folders of
trials to rebuild, to see their weights and how a trial that starts from them would begin.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from bench.cli import app
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.training.build import build_model
from bench.training.engines.engine import to_numpy
from bench.trials.saved.checkpoints import initialise, restore
from bench.trials.saved.stored_trials import trained_config


def command(arguments: list[str]) -> dict:
    result = CliRunner().invoke(app, arguments)
    error = repr(result.exception) if result.exception and not isinstance(result.exception, SystemExit) else ""
    return {"code": result.exit_code, "out": result.stdout, "err": result.stderr, "exception": error}


def start(folder: Path) -> dict:
    """Count the variables that a new model takes from the trial: with its own classes, with others, and with more."""
    trial = StoredTrial(read_record(folder), folder)
    config = trained_config(trial, plugin=Path(trial.record.config["plugin"]))
    classes = trial.record.dataset["classes"]
    source = restore(config, trial, len(classes)).model
    found = {}
    others = {"same": classes, "renamed": [f"{name}2" for name in classes], "more": [*classes, "another"]}
    for name, wanted in others.items():
        model = build_model(config, len(wanted))
        before = [to_numpy(v) for v in model.variables]
        answer = initialise(replace(config, init_from=str(folder)), model, wanted)
        found[name] = {
            "new_head": answer["new_head"],
            "taken": [
                v.path.split("/")[0]
                for v, its in zip(model.variables, source.variables, strict=True)
                if v.shape == its.shape and np.array_equal(to_numpy(v), to_numpy(its))
            ],
            "left": [
                v.path.split("/")[0]
                for v, old in zip(model.variables, before, strict=True)
                if np.array_equal(to_numpy(v), old)
            ],
            "variables": len(model.variables),
        }
    return found


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    found = {name: command(arguments) for name, arguments in request["commands"].items()}
    found["starts"] = [start(Path(folder)) for folder in request["starts"]]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
