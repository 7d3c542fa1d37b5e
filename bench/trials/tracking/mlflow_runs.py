"""MLflow's runs, in the files of a folder unless MLFLOW_TRACKING_URI names a server.

The skinny library has all that this needs, and no database: hence the store of files, which MLflow wants to be asked
for by MLFLOW_ALLOW_FILE_STORE.
"""

import logging
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.trials.tracking.tracked_run import Ending, TrackedRun

TRIAL = "segbench.trial"  # the tag by which a trial finds its run again
_URI, _EXPERIMENT, _NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "segbench"
_STATUS = {"ok": "FINISHED", "interrupted": "KILLED"}  # all others: FAILED
_MOST = 100  # parameters in one request
_LONGEST = 5000  # characters of a parameter or a tag


def place(folder: Path) -> str:
    if uri := os.environ.get(_URI):
        return f"runs are sent to {_URI}, {uri.rpartition('@')[2]}"
    return f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {shlex.quote(str(folder))}"


def open_tracker(folder: Path) -> "MlflowRuns":
    return MlflowRuns(folder)


class MlflowRuns:
    """A tracker with a run for each trial, in the experiment `segbench` or that of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, folder: Path):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import, which would start it
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self._metric: Any = Metric
        self._param: Any = Param
        uri = os.environ.get(_URI)
        self._scope = f"{folder.parent}: " if uri else ""  # a server has the trials of many results folders
        self._client: Any = MlflowClient(uri or folder.as_uri())
        self._ids: dict[str, str] = {}
        name = os.environ.get(_EXPERIMENT) or _NAME
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)

    def begin(self, run: TrackedRun) -> None:
        own = f"{self._scope}{run.identity}"
        quoted = own.replace("'", "\\'")
        for old in self._client.search_runs([self._experiment], f"tags.`{TRIAL}` = '{quoted}'"):
            self._client.delete_run(old.info.run_id)
        tags = {TRIAL: own, "segbench.configuration": run.group}
        new = self._client.create_run(self._experiment, run_name=run.name, tags=tags)
        self._ids[run.identity] = new.info.run_id
        params = [self._param(name, str(value)[:_LONGEST]) for name, value in run.parameters().items()]
        for start in range(0, len(params), _MOST):
            self._client.log_batch(new.info.run_id, params=params[start : start + _MOST])

    def log(self, run: TrackedRun, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._ids[run.identity], metrics=metrics)

    def end(self, run: TrackedRun, ending: Ending) -> None:
        self.log(run, int(ending.values.get("training/steps", 0)), ending.values)
        identifier = self._ids.pop(run.identity)
        self._client.set_tag(identifier, "segbench.status", ending.status)
        if ending.reason:
            self._client.set_tag(identifier, "segbench.reason", ending.reason[:_LONGEST])
        self._client.set_terminated(identifier, _STATUS.get(ending.status, "FAILED"))
